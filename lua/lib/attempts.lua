-- What went wrong so far. `attempts` holds, per job that ever failed,
-- bounced or stalled, the counters
-- { failed, bounces, bounced_since_ms, recorded } under its id and the last 20 attempts under
-- `<id>#<n>`, each the time it began, the time it ended and the blob the worker sent.
-- One field an attempt, so that no history is ever decoded or copied to append to it.
local ATTEMPTS_KEPT = 20

local function read_counters(id)
  local stored = redis.call('HGET', key_attempts, id)
  if stored then
    return cmsgpack.unpack(stored)
  end
  return { 0, 0, 0, 0 }
end

local function write_counters(id, counters)
  redis.call('HSET', key_attempts, id, cmsgpack.pack(counters))
  made_optional()
end

-- Appends one attempt to the history; `failed` (0 or 1) is what it costs of the budget. A
-- handler that failed could take the job: it does not bounce any more.
local function record_attempt(id, since_ms, blob, failed)
  local counters = read_counters(id)
  local n = counters[4] + 1
  counters[1] = counters[1] + failed
  if failed == 1 then
    counters[2], counters[3] = 0, 0
  end
  counters[4] = n
  write_counters(id, counters)
  redis.call('HSET', key_attempts, id .. '#' .. n, stamp(since_ms) .. stamp(now_ms) .. blob)
  if n > ATTEMPTS_KEPT then
    redis.call('HDEL', key_attempts, id .. '#' .. (n - ATTEMPTS_KEPT))
  end
end

local function record_bounce(id)
  local counters = read_counters(id)
  counters[2] = counters[2] + 1
  if counters[3] == 0 then
    counters[3] = now_ms
  end
  write_counters(id, counters)
end

-- The field names of the recorded attempts, oldest first.
local function attempt_fields(id, counters)
  local fields = {}
  for n = math.max(1, counters[4] - ATTEMPTS_KEPT + 1), counters[4] do
    fields[#fields + 1] = id .. '#' .. n
  end
  return fields
end

-- Deletes all that is recorded of `ids`.
local function forget_attempts(ids)
  if not has(key_attempts) then
    return
  end
  local counters = redis.call('HMGET', key_attempts, unpack(ids))
  for i = 1, #ids do
    if counters[i] then
      local fields = attempt_fields(ids[i], cmsgpack.unpack(counters[i]))
      fields[#fields + 1] = ids[i]
      redis.call('HDEL', key_attempts, unpack(fields))
    end
  end
end
