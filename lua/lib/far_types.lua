-- Like types.lua, for the key to which only scripts write that end jobs whose parents are in other queues (tell_far.lua).
-- needs: meta

function queue.check_outbox()
  if meta.far then
    redis.call('ZCARD', key.outbox)
  end
end
