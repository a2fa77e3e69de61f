-- Like types.lua, for the key that only calls use that claim jobs of groups.
function queue.check_paced()
  redis.call('ZCARD', key.paced)
end
