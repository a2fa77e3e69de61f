#!lua
-- Puts jobs on the dead-letter list that were exported from one. A job that is there already, in whatever state, stays as it is.
-- args: jobs, a list of { id, priority, enqueued_ms, died_ms, reason, stalls, traits, apart (its payload is), recorded (how many
-- attempts there were), history (how many of these follow), beside (the names of what is recorded of its steps and its children, if there is any:
-- lib/steps.lua, lib/children.lua), children (how many there are) }. ARGV[2..] are, of one job after the other: what stands behind
-- the place in its record, how it ended, its counters (empty: none), its payload if that lies apart, its last attempts,
-- and what is recorded beside.
-- Answers { 'imported', now_ms, ids that were added, ids that were there }. O(n log N). Harmless when repeated.
-- needs: arguments, meta, order, stamp, count, emit
-- rarely: missing_children

local VERSION, WITH_TRAITS, EXTERNAL_PAYLOAD = 2, 3, 128
local imported, there, tokens, found = {}, {}, {}, {}
local taken = 1

local function take()
  taken = taken + 1
  return ARGV[taken]
end

local function store(job)
  local rest, ending, counters = take(), take(), take()
  local payload = job.apart and take()
  local attempts = {}
  for n = job.recorded - job.history + 1, job.recorded do
    attempts[#attempts + 1] = job.id .. '#' .. n
    attempts[#attempts + 1] = take()
  end
  local beside = {}
  for i, name in ipairs(job.beside or {}) do
    beside[2 * i - 1], beside[2 * i] = job.id .. '#' .. name, take()
  end
  if redis.call('HEXISTS', key.jobs, job.id) == 1 then
    there[#there + 1] = job.id
    return
  end
  local version = job.traits and WITH_TRAITS or VERSION
  if payload then
    version = version + EXTERNAL_PAYLOAD
    redis.call('HSET', key.payloads, job.id, payload)
  end
  local head = string.char(version) .. queue.stamp(job.enqueued_ms) .. queue.first_places({ job })[1]
  -- What would have died later than now would not be found by who reads what has died until now.
  local died_ms = math.min(job.died_ms, now_ms)
  redis.call('HSET', key.jobs, job.id, head .. ' ' .. rest)
  redis.call('HSET', key.results, job.id, queue.stamp(died_ms) .. ending)
  redis.call('ZADD', key.dead, died_ms, job.id)
  if counters ~= '' then
    redis.call('HSET', key.attempts, job.id, counters, unpack(attempts))
  end
  for i = 1, #beside, 2 do
    redis.call('HSET', key.attempts, beside[i], beside[i + 1])
  end
  if job.children then
    found[#found + 1] = job
  end
  if job.stalls > 0 then
    redis.call('HSET', key.stalls, job.id, job.stalls)
  end
  imported[#imported + 1] = job.id
  tokens[#tokens + 1] = job.id .. ':' .. job.reason
end

-- It fails if another type is there: before anything is written.
redis.call('HLEN', key.attempts)
for _, job in ipairs(args.jobs) do
  store(job)
end
-- Now that all are there: a child may have come with its parent.
for _, job in ipairs(found) do
  local missing, open = queue.missing_children(job.id, true)
  if #missing > 0 then
    queue.drop_children(job.id, missing, open, {})
  end
end
queue.count('added', #imported)
queue.count('dead', #imported)
queue.emit('added', imported)
queue.emit('dead', tokens)
queue.flush_events()
queue.save_meta()
return { 'imported', now_ms, imported, there }
