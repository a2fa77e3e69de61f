-- What went wrong so far. `attempts` holds, per job that ever failed, bounced or stalled, the counters { failed, bounces,
-- bounced_since_ms, recorded } under its id, followed by { snoozes, snoozed_since_ms } once it was snoozed, and by these and
-- { lines } once a handler has written a line of its log (job_log.lua), and { steps } once it has stored a step (steps.lua); the ninth is { children } (child_fields.lua), and then { replies, their bytes } (job_replies.lua); and the last 20 attempts under `<id>#<n>`, each the time it began, the time it ended and the blob the worker sent. One field an attempt, so
-- that no history is ever decoded or copied to append to it.
-- needs: optional, stamp
local ATTEMPTS_KEPT = 20
-- Places in the list of counters. A newer version may append others, which stay as they are.
local FAILED, BOUNCES, BOUNCED_SINCE_MS, RECORDED, SNOOZES, SNOOZED_SINCE_MS = 1, 2, 3, 4, 5, 6

local function is_counter(n)
  return type(n) == 'number' and n >= 0 and n < 2 ^ 53
end

-- The counters in this text; all 0 if there is none, or none that can be read: another program wrote them.
function queue.counters_in(stored)
  local read, counters = pcall(cmsgpack.unpack, stored or '')
  read = read and type(counters) == 'table'
  for i = FAILED, RECORDED do
    read = read and is_counter(counters[i])
  end
  return read and counters or { 0, 0, 0, 0 }
end

function queue.read_counters(id)
  return queue.counters_in(redis.call('HGET', key.attempts, id))
end

function queue.write_counters(id, counters)
  redis.call('HSET', key.attempts, id, cmsgpack.pack(counters))
  queue.made(key.attempts)
end

-- Appends one attempt to the history; `failed` (0 or 1) is what it costs of the budget, and ends the bounces of the job.
function queue.record_attempt(id, since_ms, blob, failed)
  local counters = queue.read_counters(id)
  local n = counters[RECORDED] + 1
  counters[FAILED] = counters[FAILED] + failed
  if failed == 1 then
    counters[BOUNCES], counters[BOUNCED_SINCE_MS] = 0, 0
  end
  counters[RECORDED] = n
  queue.write_counters(id, counters)
  redis.call('HSET', key.attempts, id .. '#' .. n, queue.stamp(since_ms) .. queue.stamp(now_ms) .. blob)
  if n > ATTEMPTS_KEPT then
    redis.call('HDEL', key.attempts, id .. '#' .. (n - ATTEMPTS_KEPT))
  end
end

function queue.record_bounce(id)
  local counters = queue.read_counters(id)
  counters[BOUNCES] = counters[BOUNCES] + 1
  if counters[BOUNCED_SINCE_MS] == 0 then
    counters[BOUNCED_SINCE_MS] = now_ms
  end
  queue.write_counters(id, counters)
end

-- Returns how often the job was snoozed by now.
function queue.record_snooze(id)
  local counters = queue.read_counters(id)
  if not (is_counter(counters[SNOOZES]) and is_counter(counters[SNOOZED_SINCE_MS])) then
    counters[SNOOZES], counters[SNOOZED_SINCE_MS] = 0, 0
  end
  counters[SNOOZES] = counters[SNOOZES] + 1
  if counters[SNOOZED_SINCE_MS] == 0 then
    counters[SNOOZED_SINCE_MS] = now_ms
  end
  queue.write_counters(id, counters)
  return counters[SNOOZES]
end

-- The job gets a fresh budget of attempts, bounces and snoozes; what is recorded stays. Returns the counters.
function queue.renew_budget(id)
  local counters = queue.read_counters(id)
  counters[FAILED], counters[BOUNCES], counters[BOUNCED_SINCE_MS] = 0, 0, 0
  if counters[SNOOZES] then
    counters[SNOOZES], counters[SNOOZED_SINCE_MS] = 0, 0
  end
  queue.write_counters(id, counters)
  return counters
end

-- Jobs that bounced have found their worker: they grow old no more.
function queue.forget_bounces(ids)
  local stored = redis.call('HMGET', key.attempts, unpack(ids))
  for i = 1, #ids do
    if stored[i] then
      local counters = queue.counters_in(stored[i])
      counters[BOUNCED_SINCE_MS] = 0
      queue.write_counters(ids[i], counters)
    end
  end
end

-- The field names of the recorded attempts, oldest first.
function queue.attempt_fields(id, counters)
  local fields = {}
  for n = math.max(1, counters[RECORDED] - ATTEMPTS_KEPT + 1), counters[RECORDED] do
    fields[#fields + 1] = id .. '#' .. n
  end
  return fields
end
