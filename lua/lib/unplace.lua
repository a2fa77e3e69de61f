-- Jobs that are in no list any more (lost.lua) are not found by their names and gates either.
-- rarely: unhandled, head, blocked, gate, turn, places, running, admit, unique, begun, successor, lost_places
-- rarely: aside, waits, children

-- Successors and parents that are to wait for their keys, or their children, again: a set of ids.
local successors = {}

-- Jobs that were handed back are not kept by their names any more: they are offered to every worker.
function queue.forget_names(ids)
  local _, names = queue.names_of(ids)
  local named = {}
  for i = 1, #ids do
    if names[i] then
      named[#named + 1] = ids[i]
    end
  end
  if #named > 0 then
    queue.leave_unhandled(named)
  end
end

-- Jobs that were held back are not among the jobs of their gates any more. Returns those of the jobs that have a gate.
function queue.forget_gates(ids)
  local records, leaving = redis.call('HMGET', key.jobs, unpack(ids)), {}
  for i = 1, #ids do
    if records[i] and queue.has_traits(records[i]) then
      queue.leave_blocked(ids[i], records[i])
      leaving[#leaving + 1] = { id = ids[i], record = records[i], from = 'lost', to = 'removed' }
    end
  end
  queue.look_for_blocked()
  return leaving
end

-- Whether a job may be put back: it has its unique key again, or needs none. While another job has the key, it may not; but one
-- that a worker holds runs in any case.
function queue.regains_key(id, record)
  if not queue.has_traits(record) then
    return true
  end
  local runs = redis.call('HEXISTS', key.claims, id) == 1
  local has_ended = not runs and redis.call('HEXISTS', key.results, id) == 1
  if not runs and not has_ended and queue.is_successor(id, record) then
    successors[id] = true
    return true
  end
  successors[id] = not runs and not has_ended and queue.waits_for_children(id) or nil
  local is_free = queue.field_of(record, 'unique_until') == 'started' and (runs or queue.has_begun(id))
  return has_ended or is_free or queue.take_key_again(id, record) or runs
end

-- Whether a job is blocked, and neither its gate knows it, nor the job whose successor it is, nor does it wait to be told something.
function queue.is_held_by_nothing(id, record, state)
  if state ~= 'blocked' or queue.is_successor(id, record) or queue.is_untold(id) or queue.waits_for_children(id) then
    return false
  end
  local name = queue.gate_of(record)
  local member = name and queue.member_of(queue.gate(name), id, record, queue.places_of({ id })[1])
  return not (member and (redis.call('ZSCORE', key.blocked_by, member) or queue.is_aside(member, record)))
end

-- A gate hears of a job that it may not know any more: that it runs, or, of an order, that the others wait for it. They do not
-- wait for a delayed job that lets them pass.
function queue.tell_gate(id, record, state)
  local name = queue.gate_of(record)
  if not name or state == 'blocked' or state == 'completed' or state == 'dead' then
    return
  end
  local gate = queue.gate(name)
  if state == 'active' then
    queue.start_running({ queue.number_of_gate(gate), id })
  end
  local lets_pass = state == 'delayed' and queue.field_of(record, 'on_failure') == 'pass'
  if gate.is_order and not lets_pass and not queue.has_turn(gate) then
    queue.set_turn(gate, id, 0)
    queue.save_gates({ gate })
  end
end

-- Whether a job that is in no list any more is a successor, or has a gate, and not its turn. Its gate hears that it does not run.
function queue.waits_for_turn(id, record)
  if successors[id] then
    return true
  end
  local name = queue.gate_of(record)
  local gate = name and queue.gate(name)
  if gate then
    queue.stop_running({ id })
    gate.active = nil
  end
  return gate and gate.turn ~= id
end

-- Jobs, at these places, are held back, and their gates let the next of them in.
function queue.enter_by_gates(ids, records, places)
  if #ids == 0 then
    return queue.look_for_blocked()
  end
  queue.give_lost_places(ids, places, successors)
  local held, gates, touched = {}, {}, {}
  for i = 1, #ids do
    local gate = not successors[ids[i]] and queue.gate(queue.gate_of(records[i])) or nil
    local due_ms = redis.call('ZSCORE', key.blocked, ids[i])
    held[i] = { gate = gate, id = ids[i], record = records[i], place = places[i], due_ms = tonumber(due_ms or 0) }
    if gate then
      -- It may still stand apart, with the jobs of its paused name.
      queue.leave_aside(queue.member_of(gate, ids[i], records[i], places[i]), records[i])
    end
    if gate and not touched[gate.name] then
      touched[gate.name], gates[#gates + 1] = true, gate
    end
  end
  queue.hold(held)
  queue.admit(gates)
end
