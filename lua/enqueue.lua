-- Adds up to 256 jobs. args: lane, call, jobs; jobs[i] is false for the defaults, or a map of
-- { delay_ms | at_ms, priority, front, await_ms }. The id of job i is ARGV[2 * i], its record
-- ARGV[2 * i + 1]; large payloads follow, in the order of args.external (positions from 1).
-- Answers 'added', the time, and the positions (from 0) of ids that were already there.
-- O(n log N).

local status, answer = begin_call(args.lane, args.call)
if status ~= 'new' then
  return { status, now_ms, answer or {} }
end

local n = #args.jobs
local ids = plain_arguments(2, n, 2)
local known = redis.call('HMGET', key_jobs, unpack(ids))

local records, payloads, waiting, delayed = {}, {}, {}, {}
local added, delayed_tokens, there, seen = {}, {}, {}, {}
local prefix = stamp(now_ms)

local function place_job(id, options)
  local due_ms = options.at_ms or (now_ms + (options.delay_ms or 0))
  local entry = {
    id = id,
    priority = options.priority or DEFAULT_PRIORITY,
    front = options.front,
    due_ms = due_ms,
  }
  if due_ms > now_ms then
    delayed[#delayed + 1] = entry
    delayed_tokens[#delayed_tokens + 1] = id .. ':' .. string.format('%.0f', due_ms)
  else
    waiting[#waiting + 1] = entry
  end
  if options.await_ms then
    redis.call('ZADD', key_awaited, 'GT', now_ms + options.await_ms, id)
  end
end

for i = 1, n do
  local id = ids[i]
  if known[i] or seen[id] then
    there[#there + 1] = i - 1
  else
    seen[id] = i
    added[#added + 1] = id
    -- The version byte stays first, the time of enqueueing goes behind it.
    local record = ARGV[2 * i + 1]
    records[#records + 1] = id
    records[#records + 1] = string.sub(record, 1, 1) .. prefix .. string.sub(record, 2)
    place_job(id, args.jobs[i] or {})
  end
end

for k, position in ipairs(args.external) do
  if seen[ids[position]] == position then
    payloads[#payloads + 1] = ids[position]
    payloads[#payloads + 1] = ARGV[1 + 2 * n + k]
  end
end

if #added > 0 then
  redis.call('HSET', key_jobs, unpack(records))
  if #payloads > 0 then
    redis.call('HSET', key_payloads, unpack(payloads))
  end
  enter_waiting(waiting)
  enter_delayed(delayed)
  if #waiting > 0 and not is_paused() then
    arm(0)
  end
  count('added', #added)
  emit('added', added)
  emit('delayed', delayed_tokens)
  flush_events()
end

end_call(args.lane, args.call, there)
return { 'added', now_ms, there }
