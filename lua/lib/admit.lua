-- Lets the next jobs of gates (gate.lua) get in line.
-- needs: meta, whole, gate, blocked
-- rarely: places, order, enter, emit, arm, opening, optional

-- The next job of each of these gates comes to the back of the line, if the gate is free for it. Of a group, suspects
-- (suspects.lua) get among their like without the turn, and the job behind them is tried; if only suspects were tried,
-- the group goes on when one of them is claimed. The gates are saved.
function queue.admit(gates)
  local TRIED_AT_MOST = 3
  local ids, options, of_id = {}, {}, {}

  -- The next of a gate gets the turn, or is a suspect. Returns whether it is a suspect.
  local function admit_next(gate)
    local next_ids, members, due = queue.next_blocked(gate, 1)
    local id = next_ids[1]
    if not id then
      return false
    end
    queue.take_blocked(next_ids, members)
    local priority = queue.priority_at(queue.places_of(next_ids)[1])
    local is_suspect = not gate.is_order and queue.has(key.stalls) and redis.call('HEXISTS', key.stalls, id) == 1
    if not is_suspect then
      queue.set_turn(gate, id)
    end
    if due[1] > now_ms then
      queue.enter_delayed(next_ids, { { due_ms = due[1], priority = priority } })
      queue.emit('delayed', { id .. ':' .. queue.whole(due[1]) })
    else
      ids[#ids + 1], options[id], of_id[id] = id, { priority = priority }, not is_suspect and gate
    end
    return is_suspect
  end

  for _, gate in ipairs(gates) do
    if meta.blocked and not queue.has_turn(gate) and (gate.is_order or queue.room_in(gate) > 0) then
      queue.set_turn(gate, nil)
      local tried = 0
      repeat
        tried = tried + 1
      until not admit_next(gate) or tried == TRIED_AT_MOST
    end
  end
  if #ids > 0 then
    local places = queue.take_places(ids, options)
    for i = 1, #ids do
      local gate = of_id[ids[i]]
      if gate then
        gate.place = tonumber(places[i])
      end
    end
    queue.enter_at(ids, places)
    queue.emit('waiting', ids)
    if meta.limited and not meta.paused then
      queue.arm_for_new_job()
    elseif not meta.paused then
      queue.arm(0)
    end
  end
  for _, gate in ipairs(gates) do
    queue.save_gate(gate)
  end
  queue.look_for_blocked()
end
