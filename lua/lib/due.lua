-- The moment the next delayed job is due, or nil.
function queue.next_due()
  return tonumber(redis.call('ZRANGE', key.delayed, '0', '0', 'WITHSCORES')[2])
end
