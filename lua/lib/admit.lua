-- Lets the next jobs of gates (gate.lua) get in line.
-- needs: meta, whole, gate, group_limit, turn, heads, blocked
-- rarely: places, order, enter, emit, arm, opening, optional, paused_names

-- The next job of each of these gates gets the turn, or is a suspect (suspects.lua), which gets among its like without the turn;
-- those that are not due are delayed. Appends the others to the list `ids`. Returns the gates of which it was a suspect.
local function admit_heads(gates, ids, options, of_id)
  local heads = queue.heads_of(gates)
  if #heads.ids == 0 then
    return {}
  end
  if not heads.are_taken then
    queue.take_blocked(heads.ids, heads.members)
  end
  local places, records = queue.places_of(heads.ids, heads.records)
  local stalls = queue.has(key.stalls) and redis.call('HMGET', key.stalls, unpack(heads.ids)) or {}
  local behind_suspects, delayed, when, tokens = {}, {}, {}, {}
  for i, id in ipairs(heads.ids) do
    local gate, due_ms = heads.gates[i], tonumber(heads.due[i])
    local option = { own_place = places[i] }
    local is_suspect = stalls[i] and not gate.is_order
    if meta.paused_names and not gate.is_order and records[i] and queue.is_paused_job(records[i]) then
      -- The call has moved as many as it may (aside.lua). The job keeps its own place, for when it is moved.
      option.keeps_place = true
    end
    if not is_suspect then
      queue.set_turn(gate, id)
    else
      behind_suspects[#behind_suspects + 1] = gate
    end
    if due_ms > now_ms then
      option.due_ms, option.priority = due_ms, queue.priority_at(places[i])
      delayed[#delayed + 1], when[#when + 1], tokens[#tokens + 1] = id, option, id .. ':' .. queue.whole(due_ms)
    else
      ids[#ids + 1], options[id], of_id[id] = id, option, not is_suspect and gate
    end
  end
  queue.enter_delayed(delayed, when)
  queue.emit('delayed', tokens)
  return behind_suspects
end

-- The next job of each of these gates comes to the back of the line, if the gate is free for it. Of a group whose next job is a
-- suspect, the job behind it is tried; if only suspects were tried, the group goes on when one of them is claimed, or when
-- somebody looks after it (tend_gates.lua). The gates are saved. is_line_empty: nothing is in line, as far as the caller knows;
-- then a single job is at the back of it at its own place, and needs no other. Returns whether a job got in line.
function queue.admit(gates, is_line_empty)
  local SUSPECTS_AT_MOST = 256
  local ids, options, of_id, open = {}, {}, {}, {}
  local has_turn = meta.blocked and queue.have_turns(gates)
  for _, gate in ipairs(gates) do
    if meta.blocked and not has_turn[gate] and (gate.is_order or queue.room_in(gate) > 0) then
      queue.set_turn(gate, nil)
      open[#open + 1] = gate
    end
  end
  local suspects = 0
  while #open > 0 and suspects < SUSPECTS_AT_MOST do
    open = admit_heads(open, ids, options, of_id)
    suspects = suspects + #open
  end
  local is_due, own_place = meta.due and queue.number(meta.due) <= now_ms, ids[1] and options[ids[1]].own_place
  if #ids == 1 and is_line_empty and own_place and not is_due then
    if of_id[ids[1]] then
      of_id[ids[1]].place = tonumber(own_place)
    end
    queue.enter_line(ids, { own_place })
  elseif #ids > 0 then
    for i = 1, #ids do
      options[ids[i]].priority = queue.priority_at(options[ids[i]].own_place)
    end
    local places, moved, at, others, others_at = queue.take_places(ids, options), {}, {}, {}, {}
    for i = 1, #ids do
      local gate = of_id[ids[i]]
      if gate then
        gate.place = tonumber(places[i])
      end
      if options[ids[i]].keeps_place then
        others[#others + 1], others_at[#others_at + 1] = ids[i], places[i]
      else
        moved[#moved + 1], at[#at + 1] = ids[i], places[i]
      end
    end
    queue.enter_at(moved, at)
    queue.enter_line(others, others_at)
  end
  if #ids > 0 then
    queue.emit('waiting', ids)
    if meta.limited and not meta.paused then
      queue.arm_for_new_job()
    elseif not meta.paused then
      queue.arm(0)
    end
  end
  queue.save_gates(gates)
  queue.look_for_blocked()
  return #ids > 0 and not queue.has(key.stalls)
end
