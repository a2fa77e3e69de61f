-- Unique keys that were taken for a time (unique.lua): the end of that time.
-- needs: whole

-- Forgets keys whose time is over, at most `limit`. Returns how many.
function queue.forget_keys(limit)
  local names = redis.call('ZRANGEBYSCORE', key.remembered, '-inf', queue.whole(now_ms), 'LIMIT', '0', queue.whole(limit))
  if #names > 0 then
    redis.call('HDEL', key.unique, unpack(names))
    redis.call('ZREM', key.remembered, unpack(names))
  end
  return #names
end
