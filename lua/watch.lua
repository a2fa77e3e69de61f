#!lua flags=allow-oom
-- Asks for a job's outcome, and has it announced and kept if it is not there yet.
-- args: id, await_ms. Answers { 'finished', now_ms, outcome, last error },
-- { 'pending' | 'missing', now_ms }. O(log N). Harmless when repeated.
-- needs: arguments, find
-- rarely: attempts

local id = args.id
local state = queue.find(id)
if not state then
  return { 'missing', now_ms }
end
local outcome = redis.call('HGET', key.results, id)
if outcome and (state == 'completed' or state == 'dead') then
  local last = ''
  local counters = redis.call('HGET', key.attempts, id)
  if counters then
    local fields = queue.attempt_fields(id, queue.counters_in(counters))
    last = #fields > 0 and redis.call('HGET', key.attempts, fields[#fields]) or ''
  end
  return { 'finished', now_ms, outcome, last }
end
redis.call('ZADD', key.awaited, 'GT', now_ms + args.await_ms, id)
return { 'pending', now_ms }
