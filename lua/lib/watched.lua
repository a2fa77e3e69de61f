-- What has become of a job that a caller waits for.
-- needs: find
-- rarely: attempts

-- Returns 'missing'; 'pending', and then its outcome is announced and kept if it comes within await_ms; or 'finished', its outcome, its
-- last error (empty: none), and the collection and the score with which it lies there.
function queue.watched(id, await_ms)
  local state, score, part = queue.find(id)
  if not state then
    return 'missing'
  end
  local outcome = redis.call('HGET', key.results, id)
  if outcome and (state == 'completed' or state == 'dead') then
    local last = ''
    local counters = redis.call('HGET', key.attempts, id)
    if counters then
      local fields = queue.attempt_fields(id, queue.counters_in(counters))
      last = #fields > 0 and redis.call('HGET', key.attempts, fields[#fields]) or ''
    end
    return 'finished', outcome, last, part, score
  end
  redis.call('ZADD', key.awaited, 'GT', now_ms + await_ms, id)
  return 'pending'
end
