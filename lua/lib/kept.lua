-- The scores of `kept`, which holds jobs that have ended and are kept apart from the other completed ones: the moment
-- (ms) until which each is kept so. Then a job with a retention of its own is dropped. A job that is here
-- only because a caller waits for its outcome moves on to `completed`. The score must show which of the two happens, without
-- another key or command. All moments are whole milliseconds, so half a millisecond more means: the job moves on.
-- No other file knows of this.
local MOVES_ON, AWAITED_KEPT_MS = 0.5, 60000

-- The score of a job that ends now. own_ms: the job's own retention, if it has one. is_awaited:
-- a caller waits for its outcome.
function queue.kept_score(own_ms, is_awaited)
  if own_ms then
    return now_ms + math.max(own_ms, is_awaited and AWAITED_KEPT_MS or 0)
  end
  return now_ms + AWAITED_KEPT_MS + MOVES_ON
end

-- When a job has ended that moves on to `completed`; nil for a job that is dropped.
function queue.end_of_moving(score)
  if score % 1 == MOVES_ON then
    return score - MOVES_ON - AWAITED_KEPT_MS
  end
  return nil
end

-- A caller has not read all of a job that has ended: it is kept for it from here on, too.
function queue.keep_for_caller(id, score)
  local own = queue.end_of_moving(tonumber(score)) == nil
  redis.call('ZADD', key.kept, 'XX', 'GT', now_ms + AWAITED_KEPT_MS + (own and 0 or MOVES_ON), id)
end
