local function is_paused()
  return redis.call('HEXISTS', key_meta, 'paused') == 1
end
