-- Deletes everything that is kept about `ids`, but for the collection they are in, which is
-- the caller's. Keys that only few jobs use are looked at only when they exist.
local function forget(ids)
  if #ids == 0 then
    return
  end
  redis.call('HDEL', key_jobs, unpack(ids))
  forget_attempts(ids)
  for _, key in ipairs({ key_payloads, key_stalls, key_results, key_progress, key_later }) do
    if redis.call('EXISTS', key) == 1 then
      redis.call('HDEL', key, unpack(ids))
    end
  end
end
