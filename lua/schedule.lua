#!lua
-- Stores or changes a schedule that is still as the caller saw it. args: name, revision (0: there
-- is none), paused, tick_ms (none: it does not tick), keep_tick (it ticks, and its tick stays as it
-- is), seen_ms (its next tick as the caller saw it, -1 for none; if it is due by now, it is to be fired
-- first; without seen_ms, tick_ms must be later than the last one), define.
-- With `define`, ARGV[2] is its rule, ARGV[3] the record of its jobs, ARGV[4] their payload, '' if
-- that is in the record. Answers { 'stored' | 'changed', now_ms }; 'changed' since the caller saw
-- it: nothing was done. O(log N).
-- needs: arguments, meta, schedules
-- rarely: whole, upcoming

local name = args.name
local stored = redis.call('HGET', key.schedules, queue.state_field(name))
local state = stored and cmsgpack.unpack(stored) or { 0, 0, 0, 0, 0, 0, '', '' }
-- Ticks that are fired leave the revision as it is. The last of all may have been one since, and a
-- tick that was dealt with does not come again.
local function ticked_on()
  -- No moment: there is none, or another program has written something else there.
  local tick_ms = tonumber(string.match(redis.call('ZSCORE', key.ticks, name) or '', '^%d+$'))
  if args.keep_tick then
    return not tick_ms
  end
  if args.seen_ms then
    return (tick_ms or -1) ~= args.seen_ms or (tick_ms or math.huge) <= now_ms
  end
  return args.tick_ms and args.tick_ms <= state[LAST_MS]
end

if state[REVISION] ~= args.revision or ticked_on() then
  return { 'changed', now_ms }
end

-- Never the same twice, also for a schedule that was removed and comes back, or if meta was lost.
local revision = redis.call('HINCRBY', key.meta, 'revision', 1)
if revision <= state[REVISION] then
  revision = state[REVISION] + 1
  queue.set_meta('revision', queue.whole(revision))
end
state[REVISION] = revision
state[PAUSED] = args.paused and 1 or 0
redis.call('HSET', key.schedules, queue.state_field(name), cmsgpack.pack(state))
if args.define then
  redis.call('HSET', key.schedules, name, ARGV[2], queue.job_field(name), ARGV[3])
  if ARGV[4] == '' then
    redis.call('HDEL', key.schedules, queue.payload_field(name))
  else
    redis.call('HSET', key.schedules, queue.payload_field(name), ARGV[4])
  end
end
if not args.keep_tick then
  redis.call('ZADD', key.ticks, queue.tick_score(args.tick_ms), name)
  queue.offer_tick()
end
queue.save_meta()
return { 'stored', now_ms }
