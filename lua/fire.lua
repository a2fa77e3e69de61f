#!lua
-- Fires ticks that are due: a job for each, with an id made of the schedule's name and the tick,
-- and the schedule's next tick. A worker that comes second changes nothing.
-- args: worker, hold, entries, passed_ms (the caller saw all schedules that are due until then; it cannot read those
-- that are not in `entries`, so they are passed over for a while); entries[i] is { name, revision, tick_ms
-- (its next tick, as the caller saw it), ticks (to be fired, oldest first), due_ms (when the job of
-- each is), missed (how many are given up), last_ms (the last tick that this deals with), next_ms,
-- limit, no_overlap, priority, front }. Answers { 'fired', now_ms, verdicts, tick }: per entry how
-- many jobs, or -1 for a schedule that is not as the caller saw it; and the next tick, if the caller has
-- to see to it. O(n log N), n jobs.
-- needs: arguments, meta, schedules, upcoming, tick, emit, whole
-- rarely: batch, find, arm, head

-- The state of each entry that is as its caller saw it, false for the others. Reads only.
local function read_states(entries)
  local fields, names = {}, {}
  for i, entry in ipairs(entries) do
    names[i], fields[i] = entry.name, queue.state_field(entry.name)
  end
  local values = redis.call('HMGET', key.schedules, unpack(fields))
  local ticks = redis.call('ZMSCORE', key.ticks, unpack(names))
  local states = {}
  for i, entry in ipairs(entries) do
    local state = values[i] and cmsgpack.unpack(values[i])
    local current = state and state[REVISION] == entry.revision
      and tonumber(ticks[i]) == entry.tick_ms and entry.last_ms <= now_ms
    states[i] = current and state or false
  end
  return states
end

local function is_open(id)
  local state = id ~= '' and queue.find(id)
  return state == 'waiting' or state == 'blocked' or state == 'delayed' or state == 'active'
end

-- Adds the jobs of an entry, brings its state up to date, and returns how many were fired; -1 if
-- its job is gone. The job is read only for ticks that make one: it may be large.
local function fire(batch, entry, state)
  local fired = 0
  local open = entry.no_overlap and is_open(state[LAST_JOB])
  local full = entry.limit and state[FIRED] >= entry.limit
  local job, payload
  if #entry.ticks > 0 and not open and not full then
    local name = entry.name
    job, payload = unpack(redis.call('HMGET', key.schedules, queue.job_field(name), queue.payload_field(name)))
    if not job then
      return -1
    end
  end
  for i, tick_ms in ipairs(entry.ticks) do
    if entry.limit and state[FIRED] >= entry.limit then
      break
    end
    if open then
      state[OVERLAPPED], state[OUTCOME] = state[OVERLAPPED] + 1, 'overlapped'
    else
      local id = entry.name .. '@' .. queue.whole(tick_ms)
      queue.add_to_batch(batch, id, job, payload, {
        at_ms = entry.due_ms[i], priority = entry.priority, front = entry.front,
        traits = queue.has_sent_traits(job),
      })
      state[FIRED], state[OUTCOME], state[LAST_JOB] = state[FIRED] + 1, 'fired', id
      open = entry.no_overlap
      fired = fired + 1
    end
  end
  if #entry.ticks == 0 then
    state[OUTCOME] = 'missed'
  end
  state[MISSED], state[LAST_MS] = state[MISSED] + entry.missed, entry.last_ms
  return fired
end

local verdicts = {}
if #args.entries > 0 then
  local batch, states, scores = queue.new_batch(), {}, {}
  for i, state in ipairs(read_states(args.entries)) do
    local entry = args.entries[i]
    verdicts[i] = state and fire(batch, entry, state) or -1
    if verdicts[i] >= 0 then
      local ended = entry.limit and state[FIRED] >= entry.limit
      states[#states + 1] = queue.state_field(entry.name)
      states[#states + 1] = cmsgpack.pack(state)
      scores[#scores + 1] = queue.tick_score(not ended and entry.next_ms)
      scores[#scores + 1] = entry.name
    end
  end
  if #states > 0 then
    queue.add_batch(batch)
    redis.call('HSET', key.schedules, unpack(states))
    redis.call('ZADD', key.ticks, unpack(scores))
  end
end

-- Also if no tick was fired: the worker learns, or corrects, when the next tick is.
local changed_ms = queue.refresh_tick(args.passed_ms)
if changed_ms and not args.hold then
  queue.arm(changed_ms)
end
local tick_ms = queue.hold_tick()
queue.flush_events()
queue.save_meta()
return { 'fired', now_ms, verdicts, tick_ms or -1 }
