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
