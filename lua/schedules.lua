#!lua flags=no-writes
-- Schedules as they are stored. args: name, to ask for one schedule; or due and offset, for at
-- most `limit` of those that are due, the longest due first; or cursor ('0' at first), for a page of
-- all, about `limit` of them: at the end come those that are not in `ticks`, where each should be.
-- O(log N + limit).
-- Answers { 'schedules', now_ms, flat, next_ms, cursor, job, payload }. flat is, for each: name,
-- tick ('inf' for none, '' if it is not in `ticks`), rule, state, the bytes of one of its jobs (0 if
-- that is gone), and the state
-- of its last job, '' if that is gone or they were asked for because they are due. next_ms is the
-- first tick that is not due, cursor where to go on; job and payload are those of the schedule that was
-- asked for by name.
-- needs: arguments, schedules, whole
-- rarely: find, shown

local function select_names()
  if args.name then
    return { args.name }, '0'
  end
  if args.due then
    return redis.call('ZRANGEBYSCORE', key.ticks, '-inf', now_ms,
      'LIMIT', args.offset, args.limit), '0'
  end
  local names = {}
  local rest = string.match(args.cursor, '^rest:(%d+)$')
  if rest then
    local suffix = queue.state_field('')
    local cursor, states =
      unpack(redis.call('HSCAN', key.schedules, rest, 'MATCH', '*' .. suffix, 'COUNT', args.limit))
    for i = 1, #states, 2 do
      local name = string.sub(states[i], 1, -#suffix - 1)
      if not redis.call('ZSCORE', key.ticks, name) then
        names[#names + 1] = name
      end
    end
    return names, cursor == '0' and '0' or 'rest:' .. cursor
  end
  local cursor, ticks = unpack(redis.call('ZSCAN', key.ticks, args.cursor, 'COUNT', args.limit))
  for i = 1, #ticks, 2 do
    names[#names + 1] = ticks[i]
  end
  if cursor == '0' and redis.call('EXISTS', key.schedules) == 1 then
    return names, 'rest:0'
  end
  return names, cursor
end

local function last_job_state(stored)
  local read, state = pcall(cmsgpack.unpack, stored)
  if args.due or not read or type(state) ~= 'table' or type(state[LAST_JOB]) ~= 'string' then
    return ''
  end
  local found = queue.find(state[LAST_JOB])
  return found and queue.shown_state(state[LAST_JOB], found) or ''
end

local flat, job, payload = {}, '', ''
local names, cursor = select_names()
for _, name in ipairs(names) do
  local tick = redis.call('ZSCORE', key.ticks, name)
  local rule, state = unpack(redis.call('HMGET', key.schedules, name, queue.state_field(name)))
  local bytes = redis.call('HSTRLEN', key.schedules, queue.job_field(name))
  if tick or rule or state or bytes > 0 then
    rule, state = rule or '', state or ''
    if bytes > 0 then
      bytes = bytes + redis.call('HSTRLEN', key.schedules, queue.payload_field(name))
    end
    for _, value in ipairs({ name, tick or '', rule, state, bytes, last_job_state(state) }) do
      flat[#flat + 1] = value
    end
    if args.name then
      job = redis.call('HGET', key.schedules, queue.job_field(name)) or ''
      payload = redis.call('HGET', key.schedules, queue.payload_field(name)) or ''
    end
  end
end
local _, next_ms = unpack(redis.call('ZRANGEBYSCORE', key.ticks, '(' .. queue.whole(now_ms), '(+inf',
  'WITHSCORES', 'LIMIT', 0, 1))
return { 'schedules', now_ms, flat, tonumber(next_ms) or -1, cursor, job, payload }
