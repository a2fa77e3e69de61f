-- Jobs that are to be added while another job has their unique key (unique.lua). They are not added. If they ask for it, the
-- job that is there gets their payload and options as long as it waits: then it is as if it had been enqueued now, but for its
-- id, its history and, if nothing asks for another one, its place.
-- needs: head, unique, whole, meta
-- rarely: record, places, order, enter, emit, count, arm, optional, take_out, delayed, lines
-- with all: hold, gate

local DEFAULT_PRIORITY = 500
local WAITS = { waiting = true, blocked = true, delayed = true }

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
  queue.leave_gates({ { id = id, record = record, from = job.state, to = 'ended' } })
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
    queue.enter_or_hold({ id }, { stored }, places, { [id] = option.due_ms })
    if not meta.paused then
      queue.arm(0)
    end
  end
end

-- `job` is a map of { id, state, score, part }, `new` one of { sent, payload (nil if it lies in the record), option, how }. how: `replace`, the
-- job stays due when it was; `debounce`, it is due when the new one would be.
local function replace(job, new)
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
  queue.give_key(name, id, queue.sent_field(new.sent, 'unique_until'))
end

-- Returns what becomes of each of the `n` jobs that are to be added (add.lua), if another job has its key: a list with gaps of
-- what the caller is told, which is the position (from 0) and the id of that job, behind `:` if it stays as it is, behind `~` if
-- it is replaced. Jobs with known[i] are there themselves. A job that replaces one of the same call takes its position in `list`.
function queue.meet(list, n, options, external, known)
  local met, first, seen, replaced = {}, {}, {}, {}
  local counted = { [':'] = 0, ['~'] = 0 }

  -- The job at position `at` is to be added by this call.
  local function meet_new(at, i, how)
    local option, await_ms = options[i], math.max(options[at].await_ms or 0, options[i].await_ms or 0)
    if how then
      if how == 'replace' then
        option.at_ms, option.delay_ms = options[at].at_ms, options[at].delay_ms
      end
      list[n + 1 + at], external[at], options[at] = list[n + 1 + i], external[i], option
    end
    options[at].await_ms = await_ms > 0 and await_ms or nil
    return list[at + 1], how
  end

  -- Another job may have the key.
  local function meet_owner(name, i, how)
    local id, state, score, part = queue.owner_of_key(name)
    local option = options[i]
    if id and option.await_ms and (WAITS[state] or state == 'active') then
      redis.call('ZADD', key.awaited, 'GT', queue.whole(now_ms + option.await_ms), id)
      queue.made(key.awaited)
    end
    if not how or not WAITS[state] then
      return id, nil
    end
    local payload = external[i] and list[2 * n + 1 + external[i]]
    replace({ id = id, state = state, score = score, part = part },
      { sent = list[n + 1 + i], payload = payload, option = option, how = how })
    replaced[#replaced + 1] = id
    return id, how
  end

  for i = 1, n do
    local id, sent = list[i + 1], list[n + 1 + i]
    local name = options[i] and options[i].traits and queue.sent_field(sent, 'unique')
    if name and not (known and (known[i] or seen[id])) then
      local how = queue.sent_field(sent, 'on_duplicate')
      local other, is_replaced
      if first[name] then
        other, is_replaced = meet_new(first[name], i, how)
      else
        other, is_replaced = meet_owner(name, i, how)
      end
      if other then
        local sign = is_replaced and '~' or ':'
        met[i] = queue.whole(i - 1) .. sign .. other
        counted[sign] = counted[sign] + 1
      else
        first[name] = i
      end
    end
    seen[id] = seen[id] or not met[i]
  end
  queue.emit('replaced', replaced)
  queue.count('replaced', counted['~'])
  queue.count('duplicates', counted[':'])
  return met
end
