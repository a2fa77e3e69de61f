-- Moves at most `limit` due jobs from `delayed` to `waiting`, in the order they became due,
-- each with the priority it was enqueued with. Returns the ids moved.
local function promote(limit)
  local ids = redis.call('ZRANGEBYSCORE', key_delayed, '-inf', now_ms, 'LIMIT', 0, limit)
  if #ids == 0 then
    return ids
  end
  local options = {}
  if has(key_later) then
    local later = redis.call('HMGET', key_later, unpack(ids))
    redis.call('HDEL', key_later, unpack(ids))
    for i = 1, #ids do
      if later[i] then
        local digits, flag = string.match(later[i], '^(%d+)(.*)$')
        options[i] = { priority = tonumber(digits), front = flag ~= '' }
      end
    end
  end
  redis.call('ZREM', key_delayed, unpack(ids))
  enter_waiting(ids, options)
  emit('waiting', ids)
  return ids
end

-- The moment the next delayed job is due, or nil.
local function next_due()
  return tonumber(redis.call('ZRANGE', key_delayed, 0, 0, 'WITHSCORES')[2])
end
