-- Keeps at most `limit` completed jobs; drops at most `budget` of those nearest their expiry.
-- Returns how many were dropped.
function queue.cap_completed(limit, budget)
  local excess = redis.call('ZCARD', key.completed) - limit
  if excess <= 0 then
    return 0
  end
  local ids = redis.call('ZRANGE', key.completed, 0, math.min(excess, budget) - 1)
  redis.call('ZREMRANGEBYRANK', key.completed, 0, #ids - 1)
  queue.forget_ended(ids)
  return #ids
end
