-- All that is known of a job: { state, score, record, payload, claim, stalls, counters, history, outcome, progress },
-- '' for what there is not; and how many bytes that is. nil if its record is gone.
function queue.describe(id, state, score)
  local record = redis.call('HGET', key.jobs, id)
  if not record then
    return nil
  end
  local bytes = 0
  local function part(name, exists)
    local value = exists and redis.call('HGET', name, id) or ''
    bytes = bytes + #value
    return value
  end
  local counters, history = part(key.attempts, queue.has(key.attempts)), {}
  if counters ~= '' then
    local fields = queue.attempt_fields(id, queue.counters_in(counters))
    if #fields > 0 then
      history = redis.call('HMGET', key.attempts, unpack(fields))
    end
  end
  for i = 1, #history do
    bytes = bytes + #(history[i] or '')
  end
  local has_ended = state == 'completed' or state == 'cancelled' or state == 'dead'
  return {
    state, state == 'delayed' and queue.due_of(score) or score, record,
    part(key.payloads, queue.has(key.payloads)),
    part(key.claims, state == 'active'),
    part(key.stalls, queue.has(key.stalls)),
    counters,
    history,
    part(key.results, has_ended),
    part(key.progress, queue.has(key.progress)),
  }, bytes + #record
end
