-- The turn of a gate (gate.lua): who has it, and whether that job is still there.

-- Gives the turn to a job, or to none.
function queue.set_turn(gate, id, place)
  -- A job that gets the turn is in line when this call ends.
  gate.turn, gate.place, gate.is_sure, gate.is_changed = id, place or 0, id ~= nil, true
end

-- Whether the job of the turn is still there.
function queue.has_turn(gate)
  if not gate.turn or gate.is_sure then
    return gate.turn ~= nil
  end
  if gate.is_order then
    return redis.call('HEXISTS', key.jobs, gate.turn) == 1
  end
  return redis.call('ZSCORE', key.waiting, gate.turn) and true
end

-- The same of many gates, by gate: for groups, one command.
function queue.have_turns(gates)
  local has, groups, turns = {}, {}, {}
  for _, gate in ipairs(gates) do
    if gate.is_order or not gate.turn or gate.is_sure then
      has[gate] = queue.has_turn(gate)
    else
      groups[#groups + 1], turns[#turns + 1] = gate, gate.turn
    end
  end
  local scores = #groups > 0 and redis.call('ZMSCORE', key.waiting, unpack(turns))
  for i, gate in ipairs(groups) do
    has[gate] = scores[i] and true
  end
  return has
end
