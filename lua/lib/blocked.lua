-- Jobs that their gates (gate.lua) hold back, and successors (successor.lua), which are not among those of a gate.
-- needs: meta, whole, lists, gate
-- rarely: places, emit, unset

-- Jobs that are held back: a list of { gate (nil for a successor), id, record, place, due_ms }.
function queue.hold(jobs)
  if #jobs == 0 then
    return
  end
  local moments, members, ids = {}, {}, {}
  for i, job in ipairs(jobs) do
    local due_ms = job.due_ms and job.due_ms > now_ms and job.due_ms or 0
    queue.append(moments, queue.whole(due_ms), job.id)
    if job.gate then
      queue.append(members, '0', queue.member_of(job.gate, job.id, job.record, job.place))
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

-- The next `limit` jobs that a gate holds back: their ids, members, and when they are due. Members that belong to no blocked
-- job are dropped: another program deleted what they belong to.
function queue.next_blocked(gate, limit)
  local PAGES, DIGITS = 4, 16
  local id_at = #gate.name + 1 + DIGITS + 1
  for _ = 1, PAGES do
    local members = redis.call('ZRANGE', key.blocked_by, '[' .. gate.name .. '\0', '(' .. gate.name .. '\1',
      'BYLEX', 'LIMIT', '0', queue.whole(limit))
    if #members == 0 then
      break
    end
    local ids = {}
    for i = 1, #members do
      ids[i] = string.sub(members[i], id_at)
    end
    local due = redis.call('ZMSCORE', key.blocked, unpack(ids))
    local there, of_those, due_ms, stale = {}, {}, {}, {}
    for i = 1, #ids do
      if due[i] then
        local at = #there + 1
        there[at], of_those[at], due_ms[at] = ids[i], members[i], tonumber(due[i])
      else
        stale[#stale + 1] = members[i]
      end
    end
    if #stale > 0 then
      redis.call('ZREM', key.blocked_by, unpack(stale))
    end
    if #there > 0 then
      return there, of_those, due_ms
    end
  end
  return {}, {}, {}
end

-- Whether a gate that has no turn holds any job back.
function queue.holds_any(gate)
  return meta.blocked and #queue.next_blocked(gate, 1) > 0
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
    redis.call('ZREM', key.blocked_by, queue.member_of(gate, id, record, queue.places_of({ id })[1]))
  end
  queue.look_for_blocked()
end
