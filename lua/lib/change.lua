-- Changes a job that waits, is blocked or delayed, or the record of a dead one: what its record holds, its priority, and until when it waits (edit.lua,
-- duplicate.lua). It keeps its id and its history.
-- needs: meta, places, order, whole, gate, head, moment
-- rarely: optional, waits, take_out, arm, line_up, enter, emit
-- with all: hold, gated, gates_left, children

local EXTERNAL_PAYLOAD = 128

local function store(id, record, payload)
  redis.call('HSET', key.jobs, id, record)
  if payload then
    redis.call('HSET', key.payloads, id, payload)
    queue.made(key.payloads)
  elseif payload == false and queue.has(key.payloads) then
    redis.call('HDEL', key.payloads, id)
  end
end

-- Out of where the job waits; a caller of `change` looks for what is due next. What its gate holds back may go on. It has its key
-- still.
local function leave(job)
  queue.take_out(job.id, job.part, job.record)
  if queue.gate_of(job.record) then
    queue.leave_gates({ { id = job.id, record = job.record, from = job.state, to = 'moved' } })
  end
  if queue.has(key.places) then
    redis.call('HDEL', key.places, job.id)
  end
end

-- A job of an order is due at another moment. It keeps its place among the jobs of its order, and the turn, if it has it.
local function reschedule(job, new, is_untold)
  if job.state == 'blocked' and not is_untold then
    redis.call('ZADD', key.blocked, queue.whole(new.due_ms), job.id)
    return
  end
  queue.take_out(job.id, job.part, job.record)
  if new.due_ms > 0 then
    queue.enter_delayed({ job.id }, { new })
    queue.expect_group(new.due_ms)
    queue.emit('delayed', { job.id .. ':' .. queue.whole(new.due_ms) })
    return
  end
  queue.emit('waiting', queue.enter_at_or_hold({ job.id }, queue.take_places({ job.id }, { [job.id] = new })))
  if not meta.paused then
    queue.arm(0)
  end
end

-- `job` is a map of { id, state, score, part, record, is_successor (successor.lua) }, `new` one of what it is to be: { priority,
-- due_ms (0 for now), front (if it moves), rest (what stands behind the place in its record; nil: the same), payload (nil: the
-- same; false: it lies in the record), enqueued (when it was, as the record says; nil: the same), keeps_order (a job of an order
-- keeps its place there), is_moved (somebody asks for due_ms: a job that waits to be told goes on then) }. The job keeps its place in line, if it has the same priority, due time and gate. Returns whether it
-- was delayed and is not where it was: after the last change of a call `look_for_due` is to be called (delayed.lua), which may
-- take 2,000 commands.
function queue.change(job, new)
  local id, record, place = job.id, job.record, queue.place_in(job.record)
  local version = string.byte(record)
  if new.payload ~= nil then
    version = version % EXTERNAL_PAYLOAD + (new.payload and EXTERNAL_PAYLOAD or 0)
  end
  local head = string.char(version) .. (new.enqueued or string.sub(record, 2, 10))
  local rest = ' ' .. (new.rest or string.sub(record, 12 + #place))
  local as_before = head .. place .. rest
  local known_priority = queue.priority_at(queue.places_of({ id })[1])
  local aside, waits = queue.suspended_until(job)
  local is_untold = aside == '0'
  local goes_on = is_untold and new.is_moved
  if not goes_on and new.due_ms == queue.due_of_waiting(job) and new.priority == known_priority
    and queue.gate_of(as_before) == queue.gate_of(record) then
    store(id, as_before, new.payload)
    return false
  end
  if job.is_successor or is_untold and not goes_on or job.state == 'blocked' and queue.waits_for_children(id) then
    -- It waits for its key, its children, or a signal, as before.
    if new.priority ~= known_priority then
      place = queue.take_places({ id }, { [id] = new })[1]
      if queue.has(key.places) then
        redis.call('HDEL', key.places, id)
      end
    end
    redis.call('ZADD', key.blocked, queue.whole(new.due_ms), id)
    store(id, head .. place .. rest, new.payload)
    return false
  end
  if aside then
    -- A signal still finds it where it stands then.
    queue.write_waits(id, new.due_ms > 0 and queue.whole(new.due_ms) or '-', waits)
  end
  if new.keeps_order and queue.field_of(record, 'order') then
    store(id, as_before, new.payload)
    reschedule(job, new, is_untold)
    return job.state == 'delayed'
  end
  leave(job)
  local is_placed = new.due_ms == 0 or queue.field_of(as_before, 'order') ~= nil
  if is_placed then
    place = queue.take_places({ id }, { [id] = new })[1]
  else
    place = queue.first_places({ new })[1]
  end
  local changed = head .. place .. rest
  store(id, changed, new.payload)
  queue.line_up(id, changed, place, new, is_placed)
  if new.due_ms == 0 and not meta.paused then
    queue.arm(0)
  end
  return job.state == 'delayed'
end
