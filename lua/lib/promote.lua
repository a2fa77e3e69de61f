-- Moves at most `limit` due jobs from `delayed` to `waiting`, in the order they became due,
-- each with the priority it was enqueued with. Returns the ids moved.
function queue.promote(limit)
  local ids = redis.call('ZRANGEBYSCORE', key.delayed, '-inf', now_ms, 'LIMIT', 0, limit)
  if #ids > 0 then
    redis.call('ZREM', key.delayed, unpack(ids))
    queue.enter_anew(ids, queue.options_of(ids))
    queue.emit('waiting', ids)
  end
  return ids
end
