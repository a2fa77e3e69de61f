-- Adds up to 256 jobs. args: lane, call, jobs; jobs[i] is false for the defaults, or a map of
-- { delay_ms | at_ms, priority, front, await_ms }. The id of job i is ARGV[2 * i], its record
-- ARGV[2 * i + 1]; large payloads follow, in the order of args.external (positions from 1).
-- Answers { 'added' | 'repeated', now_ms, positions (from 0) of ids that were already there }, or
-- { 'superseded', now_ms, {} }.
-- O(n log N).

local status, answer = begin_call(args.lane, args.call)
if status ~= 'new' then
  return { status, now_ms, answer or {} }
end

local n = #args.jobs
local ids = plain_arguments(2, n, 2)
local known = redis.call('HMGET', key_jobs, unpack(ids))

local records, payloads, added, there, seen = {}, {}, {}, {}, {}
local waiting, waiting_options = {}, {}
local delayed, delayed_options, delayed_tokens = {}, {}, {}
local prefix = stamp(now_ms)

local function place_job(id, option)
  option.due_ms = option.at_ms or (now_ms + (option.delay_ms or 0))
  if option.due_ms > now_ms then
    delayed[#delayed + 1] = id
    delayed_options[#delayed] = option
    delayed_tokens[#delayed] = id .. ':' .. whole(option.due_ms)
  else
    waiting[#waiting + 1] = id
    waiting_options[#waiting] = option
  end
  if option.await_ms then
    redis.call('ZADD', key_awaited, 'GT', now_ms + option.await_ms, id)
    made_optional()
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
    records[2 * #added - 1] = id
    records[2 * #added] = string.sub(record, 1, 1) .. prefix .. string.sub(record, 2)
    if args.jobs[i] then
      place_job(id, args.jobs[i])
    else
      waiting[#waiting + 1] = id
    end
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
    made_optional()
  end
  enter_waiting(waiting, waiting_options)
  enter_delayed(delayed, delayed_options)
  if #waiting > 0 and not is_paused() then
    arm(0)
  end
  count('added', #added)
  emit('added', added)
  emit('delayed', delayed_tokens)
  flush_events()
  save_meta()
end

end_call(args.lane, args.call, there)
return { 'added', now_ms, there }
