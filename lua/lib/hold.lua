-- How jobs of which some may have a gate (gate.lua) get in line: those that their gates hold back are blocked instead.
-- needs: whole, gate, group_limit, turn
-- rarely: heads, blocked, enter, order, emit, optional, admit

-- Jobs are about to get in line, at these places; due_ms[id]: when a job is due that is to be delayed instead. Those that
-- their gates hold back are stored as blocked. stalls[i]: how often the worker of a job died, if it did. Returns the set of the
-- ids that are blocked, and the gates that may let one of these in: the caller calls `admit` when the others are in line.
function queue.enter_gates(ids, records, places, due_ms, stalls)
  local held, held_ids, all, open = {}, {}, {}, {}
  local gates = queue.gates_of(records, #ids)
  for i = 1, #ids do
    local gate = gates[i]
    if gate and not all[gate] then
      all[gate], all[#all + 1] = true, gate
    end
  end
  local has = queue.have_turns(all)
  for i = 1, #ids do
    local id, gate = ids[i], gates[i]
    if gate then
      local passes, has_turn, place = nil, has[gate], tonumber(places[i]) or 0
      local is_suspect = stalls[i] and not gate.is_order
      if gate.is_order then
        passes = gate.turn == id or not has_turn
      else
        -- A more urgent job does not wait for the turn of a less urgent one, and a suspect needs none.
        passes = queue.room_in(gate) > 0
          and (is_suspect or not has_turn or queue.priority_at(place) < queue.priority_at(gate.place))
      end
      -- Nobody has the turn, and others wait for it: no job gets it before them.
      if passes and not has_turn and not is_suspect and (open[gate] or queue.holds_any(gate)) then
        passes = false
        if not open[gate] then
          open[gate], open[#open + 1] = true, gate
        end
      end
      if passes and not is_suspect then
        queue.set_turn(gate, id, place)
        gate.halted, has[gate] = false, true
      elseif not passes then
        held[#held + 1] = {
          gate = gate, id = id, record = records[i], place = places[i], due_ms = due_ms and due_ms[id],
        }
        held_ids[id] = true
      end
    end
  end
  queue.save_gates(all)
  queue.hold(held)
  return held_ids, open
end

-- New jobs, which have their places in their records. stored: each id, followed by its record. options[positions[i]] is what
-- is not default about job i, as in add.lua. Successors (successor.lua) and parents (children.lua) do not come to their gates yet.
function queue.enter_or_hold(ids, stored, places, positions, options)
  local records, due_ms, following = {}, {}, {}
  for i = 1, #ids do
    local option = options[positions[i]]
    due_ms[ids[i]] = option and option.due_ms
    if option and option.waits then
      following[#following + 1] = { id = ids[i], due_ms = option.due_ms }
    else
      records[i] = stored[2 * i]
    end
  end
  queue.hold(following)
  local held, open = queue.enter_gates(ids, records, places, due_ms, {})
  for _, job in ipairs(following) do
    held[job.id] = true
  end
  local line, at, delayed, when, tokens = {}, {}, {}, {}, {}
  for i = 1, #ids do
    local id, due = ids[i], due_ms[ids[i]] or 0
    if not held[id] and due > now_ms then
      delayed[#delayed + 1], when[#when + 1] = id, { due_ms = due, priority = queue.priority_at(places[i]) }
      tokens[#tokens + 1] = id .. ':' .. queue.whole(due)
    elseif not held[id] then
      line[#line + 1], at[#at + 1] = id, places[i]
    end
  end
  if #line > 0 then
    queue.enter_waiting(line, at)
  end
  queue.enter_delayed(delayed, when)
  queue.emit('delayed', tokens)
  if #open > 0 then
    queue.admit(open)
  end
end

-- Jobs that get a place that they did not have before; those in the set `waits` wait for their children. Returns those that are in
-- line.
function queue.enter_at_or_hold(ids, places, waits)
  local stalls = queue.has(key.stalls) and redis.call('HMGET', key.stalls, unpack(ids)) or {}
  local records, parents = redis.call('HMGET', key.jobs, unpack(ids)), {}
  for i = 1, waits and #ids or 0 do
    if waits[ids[i]] then
      records[i], parents[#parents + 1] = false, { id = ids[i] }
    end
  end
  queue.hold(parents)
  local held, open = queue.enter_gates(ids, records, places, nil, stalls)
  local line, at, moved = {}, {}, {}
  for i = 1, #ids do
    if held[ids[i]] or waits and waits[ids[i]] then
      moved[#moved + 1], moved[#moved + 2] = ids[i], places[i]
    else
      line[#line + 1], at[#at + 1] = ids[i], places[i]
    end
  end
  if #moved > 0 then
    redis.call('HSET', key.places, unpack(moved))
    queue.made(key.places)
  end
  queue.enter_at(line, at)
  if #open > 0 then
    queue.admit(open)
  end
  return line
end
