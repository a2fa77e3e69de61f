-- How many jobs are active, the sentinel (sentinel.lua) not among them.
function queue.active_count()
  return redis.call('ZCOUNT', key.active, '-inf', '(+inf')
end
