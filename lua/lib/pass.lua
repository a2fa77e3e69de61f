-- Which jobs may start that were taken out of the line.
-- needs: gate, group_limit, turn
-- rarely: places, blocked, running, lists

-- Jobs were taken out of the line, to be claimed. Returns the set of those that their gates hold back, which are stored as
-- blocked, and the groups of which a job starts, or whose job of the turn is held back. The caller then calls `admit_next`.
function queue.pass_gates(ids, records)
  local held, held_ids, groups, touched, orders, starting = {}, {}, {}, {}, {}, {}
  local gates = queue.gates_of(records, #ids)
  for i = 1, #ids do
    local id, gate = ids[i], gates[i]
    if gate then
      local passes
      if gate.is_order then
        passes = gate.turn == id or not queue.has_turn(gate)
        if passes and gate.turn ~= id then
          queue.set_turn(gate, id, gate.place)
          orders[#orders + 1] = gate
        end
      else
        passes = queue.room_in(gate) > 0
        if gate.turn == id then
          queue.set_turn(gate, nil, gate.place)
        end
        if not touched[gate] then
          touched[gate], groups[#groups + 1] = true, gate
        end
      end
      if passes then
        queue.append(starting, '0', queue.running_member(gate, id))
        queue.start_in(gate, 1)
      else
        held[#held + 1] = { gate = gate, id = id, record = records[i] }
        held_ids[id] = true
      end
    end
  end
  if #held > 0 then
    local waiting = {}
    for i = 1, #held do
      waiting[i] = held[i].id
    end
    local places = queue.places_of(waiting)
    for i = 1, #held do
      held[i].place = places[i]
    end
    queue.hold(held)
  end
  queue.start_running(starting)
  queue.save_gates(orders)
  return held_ids, groups
end
