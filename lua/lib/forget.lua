-- Deletes everything that is kept about `ids`, but for the collection they are in, which is
-- the caller's.
local function forget(ids)
  if #ids == 0 then
    return
  end
  redis.call('HDEL', key_jobs, unpack(ids))
  if redis.call('EXISTS', key_results) == 1 then
    redis.call('HDEL', key_results, unpack(ids))
  end
  forget_attempts(ids)
  for _, key in ipairs({ key_payloads, key_stalls, key_progress, key_later }) do
    if has(key) then
      redis.call('HDEL', key, unpack(ids))
    end
  end
end
