-- Lets the next jobs of gates (gate.lua) get in line.
-- needs: meta, whole, gate, blocked
-- rarely: places, order, enter, emit, arm

-- The next job of each of these gates comes to the back of the line, if the gate is free for it. The gates are saved.
function queue.admit(gates)
  local ids, options, of_id = {}, {}, {}
  for _, gate in ipairs(gates) do
    local is_free = not gate.turn and (gate.is_order or queue.room_in(gate) > 0)
    local next_ids, members, due = {}, {}, {}
    if is_free and meta.blocked then
      next_ids, members, due = queue.next_blocked(gate, 1)
    end
    local id = next_ids[1]
    if id then
      queue.take_blocked(next_ids, members)
      local priority = queue.priority_at(queue.places_of(next_ids)[1])
      queue.set_turn(gate, id)
      if due[1] > now_ms then
        queue.enter_delayed(next_ids, { { due_ms = due[1], priority = priority } })
        queue.emit('delayed', { id .. ':' .. queue.whole(due[1]) })
      else
        ids[#ids + 1], options[id], of_id[id] = id, { priority = priority }, gate
      end
    end
  end
  if #ids > 0 then
    local places = queue.take_places(ids, options)
    for i = 1, #ids do
      of_id[ids[i]].place = tonumber(places[i])
    end
    queue.enter_at(ids, places)
    queue.emit('waiting', ids)
    if not meta.paused then
      queue.arm(0)
    end
  end
  for _, gate in ipairs(gates) do
    queue.save_gate(gate)
  end
  queue.look_for_blocked()
end
