-- A job that waits gets the payload and the options of another one with the same unique key (duplicate.lua). It is then as if it
-- had been enqueued now, but for its id, its history and, if nothing asks for another one, its place.
-- needs: meta, unique, head, whole
-- rarely: record, places, order, enter, emit, arm, optional, take_out, delayed, lines
-- with all: hold, gate, gated, leave, expiry

local DEFAULT_PRIORITY = 500

-- When a job that is sent with this option is due; 0 for now.
local function due_of(option)
  local due_ms = option.at_ms or option.delay_ms and now_ms + option.delay_ms or 0
  return due_ms > now_ms and due_ms or 0
end

-- When a job that waits is due; 0 for now.
local function current_due(job)
  local due_ms = 0
  if job.state == 'delayed' then
    due_ms = tonumber(queue.due_of(job.score))
  elseif job.state == 'blocked' then
    due_ms = tonumber(job.score)
  end
  return due_ms > now_ms and due_ms or 0
end

local function store(id, record, payload)
  redis.call('HSET', key.jobs, id, record)
  if payload then
    redis.call('HSET', key.payloads, id, payload)
    queue.made(key.payloads)
  elseif queue.has(key.payloads) then
    redis.call('HDEL', key.payloads, id)
  end
end

-- Takes the job out of where it waits, and puts it where a new job would go.
local function move(job, record, head, new)
  local id, option = job.id, new.option
  queue.take_out(id, job.part, record)
  queue.leave({ { id = id, record = record, from = job.state, to = 'ended' } })
  if job.state == 'delayed' then
    queue.look_for_due()
  end
  for _, part in ipairs({ key.places, key.stalls }) do
    if queue.has(part) then
      redis.call('HDEL', part, id)
    end
  end
  -- A job with an order takes its place there now, whenever it is due.
  if option.due_ms > 0 and not queue.sent_field(new.sent, 'order') then
    store(id, head .. queue.first_places({ option })[1] .. ' ' .. new.sent, new.payload)
    queue.enter_delayed({ id }, { option })
    queue.expect_group(option.due_ms)
    queue.emit('delayed', { id .. ':' .. queue.whole(option.due_ms) })
  else
    local places = queue.take_places({ id }, { [id] = option })
    local stored = head .. places[1] .. ' ' .. new.sent
    store(id, stored, new.payload)
    queue.enter_or_hold({ id }, { id, stored }, places, { 1 }, { option })
    if not meta.paused then
      queue.arm(0)
    end
  end
end

-- `job` is a map of { id, state, score, part }, `new` one of { sent, payload (nil if it lies in the record), option, how }. how: `replace`, the
-- job stays due when it was; `debounce`, it is due when the new one would be.
function queue.replace(job, new)
  local id, option = job.id, new.option
  local record = redis.call('HGET', key.jobs, id)
  local place, due_ms = queue.places_of({ id })[1], current_due(job)
  option.due_ms = new.how == 'debounce' and due_of(option) or due_ms
  local head = queue.record_head(new.payload, true)
  local stays = head .. queue.place_in(record) .. ' ' .. new.sent
  if option.due_ms == due_ms and queue.gate_of(record) == queue.gate_of(stays)
    and queue.priority_at(place) == (option.priority or DEFAULT_PRIORITY) then
    store(id, stays, new.payload)
  else
    move(job, record, head, new)
  end
  local name = queue.sent_field(new.sent, 'unique')
  queue.free_key(name)
  queue.forget_expiry({ id })
  queue.expect_expiry({ id, redis.call('HGET', key.jobs, id) })
  queue.give_key(name, id, queue.sent_field(new.sent, 'unique_until'))
end
