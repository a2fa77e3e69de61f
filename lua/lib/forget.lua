-- Deletes everything that is kept about jobs. The caller takes them out of their
-- collection.
-- needs: optional
-- rarely: forget_attempts
function queue.forget(ids)
  if #ids == 0 then
    return
  end
  redis.call('HDEL', key.jobs, unpack(ids))
  if queue.has(key.attempts) then
    queue.forget_attempts(ids)
  end
  -- Groups that take turns have places, and mostly nothing else of this.
  for _, part in ipairs({ key.places, key.payloads, key.stalls, key.progress }) do
    if queue.has(part) then
      redis.call('HDEL', part, unpack(ids))
    end
  end
end

-- The same for jobs that have ended: their outcomes are deleted as well.
function queue.forget_ended(ids)
  if #ids > 0 then
    redis.call('HDEL', key.results, unpack(ids))
    queue.forget(ids)
  end
end
