#!lua
-- Takes jobs in that waited in another queue, with what went wrong with them so far; they get in line behind those that are
-- there, in their order. args: jobs, a list of { id, priority, enqueued_ms, at_ms (when it is due, if not now), traits, apart (its
-- payload is), recorded (how many attempts there were), history (how many of these follow) }. ARGV[2..] are, of one job after
-- the other: what stands behind the place in its record, its counters (empty: none), its payload if that lies apart, its last attempts.
-- Answers { 'adopted', now_ms, ids that were added, ids that were there, ids of jobs whose unique key another job has }.
-- O(n log N). Harmless when repeated.
-- needs: arguments, meta, batch, emit, stamp
-- rarely: head, types
-- with all: unique, expiry

local adopted, there, duplicates = {}, {}, {}
local batch, late, seen, keys_taken, taken = queue.new_batch(), {}, {}, {}, 1

local function take()
  taken = taken + 1
  return ARGV[taken]
end

local function is_taken(name)
  return name and (keys_taken[name] or queue.owner_of_key(name))
end

local function take_in(job)
  local rest, counters = take(), take()
  local payload = job.apart and take() or nil
  local attempts = {}
  for n = job.recorded - job.history + 1, job.recorded do
    attempts[#attempts + 1] = job.id .. '#' .. n
    attempts[#attempts + 1] = take()
  end
  local name = job.traits and queue.sent_field(rest, 'unique')
  if seen[job.id] or redis.call('HEXISTS', key.jobs, job.id) == 1 then
    there[#there + 1] = job.id
  elseif is_taken(name) then
    duplicates[#duplicates + 1] = job.id
  else
    queue.add_to_batch(batch, job.id, rest, payload, {
      at_ms = job.at_ms, priority = job.priority, traits = job.traits or nil,
    })
    adopted[#adopted + 1], seen[job.id] = job.id, true
    if name then
      keys_taken[name] = true
    end
    late[#late + 1] = { id = job.id, enqueued_ms = job.enqueued_ms, counters = counters, attempts = attempts }
  end
end

-- It fails if another type is there: before anything is written.
redis.call('HLEN', key.attempts)
for _, job in ipairs(args.jobs) do
  if job.traits then
    queue.check_types()
    break
  end
end
for _, job in ipairs(args.jobs) do
  take_in(job)
end
queue.add_batch(batch)

-- They were enqueued when they were, and expire by that, unless they have begun.
queue.forget_expiry(adopted)
for _, job in ipairs(late) do
  local record = redis.call('HGET', key.jobs, job.id)
  record = string.sub(record, 1, 1) .. queue.stamp(job.enqueued_ms) .. string.sub(record, 11)
  redis.call('HSET', key.jobs, job.id, record)
  if job.counters ~= '' then
    redis.call('HSET', key.attempts, job.id, job.counters, unpack(job.attempts))
  end
  queue.expect_first_start(job.id, record)
end
queue.flush_events()
queue.save_meta()
return { 'adopted', now_ms, adopted, there, duplicates }
