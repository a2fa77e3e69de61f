-- Fails if another program has put another type under a key that only jobs with traits use. A call for such jobs asks before it
-- writes anything.
function queue.check_types()
  for _, hash in ipairs({ key.gates, key.unique }) do
    redis.call('HLEN', hash)
  end
  for _, set in ipairs({ key.blocked, key.blocked_by, key.running, key.expires, key.remembered }) do
    redis.call('ZCARD', set)
  end
end
