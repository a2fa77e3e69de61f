-- What went wrong so far. `attempts` holds, per job that ever failed,
-- bounced or stalled, the counters
-- { failed, bounces, bounced_since_ms, recorded } under its id and the last 20 attempts under
-- `<id>#<n>`, each the time it began, the time it ended and the blob the worker sent.
-- One field an attempt, so that no history is ever decoded or copied to append to it.
local ATTEMPTS_KEPT = 20

function queue.read_counters(id)
  local stored = redis.call('HGET', key.attempts, id)
  if stored then
    return cmsgpack.unpack(stored)
  end
  return { 0, 0, 0, 0 }
end

function queue.write_counters(id, counters)
  redis.call('HSET', key.attempts, id, cmsgpack.pack(counters))
  queue.made(key.attempts)
end

-- Appends one attempt to the history; `failed` (0 or 1) is what it costs of the budget. A
-- handler that failed could take the job: it does not bounce any more.
function queue.record_attempt(id, since_ms, blob, failed)
  local counters = queue.read_counters(id)
  local n = counters[4] + 1
  counters[1] = counters[1] + failed
  if failed == 1 then
    counters[2], counters[3] = 0, 0
  end
  counters[4] = n
  queue.write_counters(id, counters)
  local entry = queue.stamp(since_ms) .. queue.stamp(now_ms) .. blob
  redis.call('HSET', key.attempts, id .. '#' .. n, entry)
  if n > ATTEMPTS_KEPT then
    redis.call('HDEL', key.attempts, id .. '#' .. (n - ATTEMPTS_KEPT))
  end
end

function queue.record_bounce(id)
  local counters = queue.read_counters(id)
  counters[2] = counters[2] + 1
  if counters[3] == 0 then
    counters[3] = now_ms
  end
  queue.write_counters(id, counters)
end

-- The field names of the recorded attempts, oldest first.
function queue.attempt_fields(id, counters)
  local fields = {}
  for n = math.max(1, counters[4] - ATTEMPTS_KEPT + 1), counters[4] do
    fields[#fields + 1] = id .. '#' .. n
  end
  return fields
end

-- Deletes all that is recorded of `ids`.
function queue.forget_attempts(ids)
  local counters = redis.call('HMGET', key.attempts, unpack(ids))
  for i = 1, #ids do
    if counters[i] then
      local fields = queue.attempt_fields(ids[i], cmsgpack.unpack(counters[i]))
      fields[#fields + 1] = ids[i]
      redis.call('HDEL', key.attempts, unpack(fields))
    end
  end
end
