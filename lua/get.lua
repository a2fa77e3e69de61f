#!lua flags=no-writes
-- All that is known of one job. args: id. O(log N).
-- Answers { 'missing', now_ms }, or { 'found', now_ms, state, score, record, payload, claim,
-- stalls, counters, history, outcome, progress }, '' for what there is not.
-- needs: arguments, find
-- rarely: lines, attempts

local id = args.id
local record = redis.call('HGET', key.jobs, id)
local state, score = queue.find(id)
if not record or not state then
  return { 'missing', now_ms }
end
if state == 'delayed' then
  score = queue.due_of(score)
end

local counters, history = redis.call('HGET', key.attempts, id), {}
if counters then
  local fields = queue.attempt_fields(id, queue.counters_in(counters))
  if #fields > 0 then
    history = redis.call('HMGET', key.attempts, unpack(fields))
  end
end

return {
  'found', now_ms, state, score, record,
  redis.call('HGET', key.payloads, id) or '',
  redis.call('HGET', key.claims, id) or '',
  redis.call('HGET', key.stalls, id) or '',
  counters or '',
  history,
  redis.call('HGET', key.results, id) or '',
  redis.call('HGET', key.progress, id) or '',
}
