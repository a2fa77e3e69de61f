-- Jobs that their gates (gate.lua) hold back, and successors (successor.lua), which are not among those of a gate.
-- needs: meta, whole, lists, gate, digits
-- rarely: places, emit, unset, aside

-- A job's member of `blocked_by`. The jobs of an order stand in the order in which they were enqueued, whatever their
-- priority: by the sequence in their records.
function queue.member_of(gate, id, record, place)
  local STEP = 2 ^ 43
  if gate.is_order then
    place = (tonumber(queue.place_in(record) or place) + STEP / 2) % STEP - STEP / 2
  end
  return gate.name .. '\0' .. queue.digits_of(place) .. id
end

-- Jobs that are held back: a list of { gate (nil for a successor), id, record, place, due_ms, is_aside (aside.lua) }.
function queue.hold(jobs)
  if #jobs == 0 then
    return
  end
  local moments, members, ids = {}, {}, {}
  for i, job in ipairs(jobs) do
    local due_ms = job.due_ms and job.due_ms > now_ms and job.due_ms or 0
    queue.append(moments, queue.whole(due_ms), job.id)
    if job.gate then
      local prefix = job.is_aside and queue.aside_prefix(job.record) or ''
      queue.append(members, '0', prefix .. queue.member_of(job.gate, job.id, job.record, job.place))
    end
    ids[i] = job.id
  end
  redis.call('ZADD', key.blocked, unpack(moments))
  if #members > 0 then
    redis.call('ZADD', key.blocked_by, unpack(members))
  end
  queue.emit('blocked', ids)
  if not meta.blocked then
    queue.set_meta('blocked', '1')
  end
end

-- Nothing is blocked any more: calls need not look for it.
function queue.look_for_blocked()
  if meta.blocked and redis.call('EXISTS', key.blocked) == 0 then
    queue.unset_meta('blocked')
    queue.unset_meta('tended')
  end
end

-- Adds the next `limit` jobs of a gate to `page`: lists of ids, members and their gates. Returns how many there are.
local function read_next(page, gate, limit)
  local DIGITS = 16
  local id_at = #gate.name + 1 + DIGITS + 1
  local members = redis.call('ZRANGE', key.blocked_by, '[' .. gate.name .. '\0', '(' .. gate.name .. '\1',
    'BYLEX', 'LIMIT', '0', queue.whole(limit))
  local ids, read, gates, at = page.ids, page.members, page.gates, #page.ids
  for i = 1, #members do
    ids[at + i], read[at + i], gates[at + i] = string.sub(members[i], id_at), members[i], gate
  end
  return #members
end

-- The next jobs that gates hold back, limits[i] of gates[i], and `room` in all: a map of lists: ids, members, gates, and due,
-- when they are due, as text. Members that belong to no blocked job are dropped: another program deleted what they belong to. Jobs
-- of paused names are moved aside (aside.lua). Also returns how many members there were of each gate, how many
-- were dropped or moved, and how many of these were moved. A limit that is above what is left of `room` is changed.
function queue.next_blocked(gates, limits, room)
  local read, found = { ids = {}, members = {}, gates = {} }, {}
  for i, gate in ipairs(gates) do
    limits[i] = math.min(limits[i], room - #read.ids)
    found[i] = limits[i] > 0 and read_next(read, gate, limits[i]) or 0
  end
  local due, stale = #read.ids > 0 and redis.call('ZMSCORE', key.blocked, unpack(read.ids)), {}
  for i = 1, #read.ids do
    if not due[i] then
      stale[#stale + 1] = read.members[i]
    end
  end
  read.due = due
  local is_moved, moved = {}, 0
  if meta.paused_names and #read.ids > 0 then
    is_moved, moved = queue.move_aside(read)
  end
  if #stale + moved == 0 then
    return read, found, 0, 0
  end
  if #stale > 0 then
    redis.call('ZREM', key.blocked_by, unpack(stale))
  end
  local page = { ids = {}, members = {}, gates = {}, due = {} }
  for i = 1, #read.ids do
    if due[i] and not is_moved[i] then
      local at = #page.ids + 1
      page.ids[at], page.members[at], page.gates[at], page.due[at] = read.ids[i], read.members[i], read.gates[i], due[i]
    end
  end
  return page, found, #stale + moved, moved
end

function queue.take_blocked(ids, members)
  redis.call('ZREM', key.blocked, unpack(ids))
  redis.call('ZREM', key.blocked_by, unpack(members))
end

-- Takes a job out of `blocked`. The caller then puts it somewhere else, or ends it, and calls `leave`.
function queue.leave_blocked(id, record)
  redis.call('ZREM', key.blocked, id)
  local name = record and queue.gate_of(record)
  if name then
    local gate = queue.gate(name)
    local member = queue.member_of(gate, id, record, queue.places_of({ id })[1])
    if redis.call('ZREM', key.blocked_by, member) == 0 then
      queue.leave_aside(member, record)
    end
  end
  queue.look_for_blocked()
end
