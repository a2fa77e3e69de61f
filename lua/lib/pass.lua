-- Which jobs may start that were taken out of the line.
-- needs: gate, group_limit, turn
-- rarely: places, blocked, running

-- Jobs were taken out of the line, to be claimed. Returns the set of those that their gates hold back, which are stored as
-- blocked, and the groups of which a job starts, or whose job of the turn is held back. Those that start are added to `starting`, a
-- list as of `start_running`. The caller then calls that, and `admit`.
function queue.pass_gates(ids, records, starting)
  local held, held_ids, groups, touched, orders = {}, {}, {}, {}, {}
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
        starting[#starting + 1], starting[#starting + 2] = queue.number_of_gate(gate), id
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
  queue.save_gates(orders)
  return held_ids, groups
end
