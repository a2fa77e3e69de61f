#!lua flags=allow-oom
-- Looks after schedules of which something was lost: evicted, deleted, or overwritten. args: worker,
-- hold, names (of schedules that should be there), cursor ('0' at first) and limit, for about
-- `limit` fields of `schedules`. Mends meta.tick itself; what else is to be done takes a calendar.
-- Answers { 'tended', now_ms, whether meta.tick was mended, tick, cursor, short, gone, lost }: the
-- next tick, if the caller has to see to it; where to go on; whether there are certainly more
-- schedules than ticks; the positions of the names of which nothing is there; and the names of the
-- page that are not in `ticks`. O(names + limit). Harmless when repeated.
-- needs: arguments, meta, schedules, upcoming, tick

local FIELDS_AT_MOST = 4

local gone, lost = {}, {}
for position, name in ipairs(args.names) do
  local rule, job, state =
    unpack(redis.call('HMGET', key.schedules, name, queue.job_field(name), queue.state_field(name)))
  if not (rule or job or state) then
    gone[#gone + 1] = position - 1
  end
end

-- The filter keeps rules and payloads out of the answer that Redis makes for the script.
local suffix = queue.state_field('')
local cursor, states =
  unpack(redis.call('HSCAN', key.schedules, args.cursor, 'MATCH', '*' .. suffix, 'COUNT', args.limit))
for i = 1, #states, 2 do
  local name = string.sub(states[i], 1, -#suffix - 1)
  if not redis.call('ZSCORE', key.ticks, name) then
    lost[#lost + 1] = name
  end
end
local short = redis.call('HLEN', key.schedules) > FIELDS_AT_MOST * redis.call('ZCARD', key.ticks)

local mended = queue.mend_tick()
local tick_ms = queue.hold_tick()
queue.save_meta()
return { 'tended', now_ms, mended and 1 or 0, tick_ms or -1, cursor, short and 1 or 0, gone, lost }
