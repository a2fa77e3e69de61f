-- Keeps at most as many completed jobs as are set; drops at most `budget` of those that ended first.
-- Those that are kept apart do not count. Returns how many were dropped.
-- needs: settings
-- rarely: forget
function queue.cap_completed(budget)
  local excess = redis.call('ZCARD', key.completed) - queue.setting('keep_at_most')
  if excess <= 0 then
    return 0
  end
  local ids = redis.call('ZRANGE', key.completed, 0, math.min(excess, budget) - 1)
  redis.call('ZREMRANGEBYRANK', key.completed, 0, #ids - 1)
  queue.forget_ended(ids)
  return #ids
end
