#!lua flags=no-writes
-- All that a queue holds, key by key: of a stream its length and its last entries.
local LAST_ENTRIES = 12

local function read(key)
  local kind = redis.call('TYPE', key).ok
  if kind == 'hash' then
    return redis.call('HGETALL', key)
  elseif kind == 'zset' then
    return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'stream' then
    return {
      redis.call('XLEN', key), redis.call('XREVRANGE', key, '+', '-', 'COUNT', LAST_ENTRIES),
    }
  end
  return {}
end

local all = {}
for i, key in ipairs(KEYS) do
  all[i] = read(key)
end
return all
