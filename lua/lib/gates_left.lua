-- Jobs with traits leave what they were, as far as their gates (gate.lua) are concerned: what these hold back may go on.
-- needs: gate, turn, admit, head
-- rarely: emit, running

-- Jobs of groups have completed: a list of { the name of their gate, ids }. Returns the ids, and the gates.
function queue.complete_in_groups(groups)
  local names, stopping, n = {}, {}, 0
  for i, group in ipairs(groups) do
    names[i] = group[1]
  end
  local gates = queue.gates_named(names)
  for i, gate in ipairs(gates) do
    for _, id in ipairs(groups[i][2]) do
      n = n + 1
      stopping[n] = id
      if gate.turn == id then
        queue.set_turn(gate, nil, gate.place)
      end
    end
    gate.active = nil
  end
  return stopping, gates
end

-- The gates of these that may let a job in. A group that has a turn has a job in line already; if another program deleted that job,
-- the next one gets in line when somebody looks after the group (tend_gates.lua).
local function without_turns(gates)
  local open = {}
  for _, gate in ipairs(gates) do
    if gate.is_order or not gate.turn then
      open[#open + 1] = gate
    end
  end
  return open
end

-- A list as for `leave` (leave.lua); `to` is 'moved' if a job comes to its gate anew.
function queue.leave_gates(jobs)
  local records, gates, touched, halted, stopping = {}, {}, {}, {}, {}
  for i, job in ipairs(jobs) do
    records[i] = job.record
  end
  if jobs.of_groups then
    stopping, gates = queue.complete_in_groups(jobs.of_groups)
    for _, gate in ipairs(gates) do
      touched[gate] = true
    end
  end
  local of_jobs = queue.gates_of(records, #jobs)
  for i, job in ipairs(jobs) do
    local gate = of_jobs[i]
    if gate then
      if gate.is_order and gate.turn == job.id then
        local on_failure = queue.field_of(job.record, 'on_failure')
        gate.halted, gate.is_changed = job.to == 'dead' and on_failure == 'halt', true
        if gate.halted then
          halted[#halted + 1] = job.id
        elseif job.to ~= 'waiting' and (job.to ~= 'delayed' or on_failure == 'pass') then
          queue.set_turn(gate, nil, gate.place)
        end
      elseif not gate.is_order and gate.turn == job.id then
        queue.set_turn(gate, nil, gate.place)
      end
      if job.from == 'active' or job.from == 'lost' then
        stopping[#stopping + 1] = job.id
        gate.active = nil
      end
      if not touched[gate] then
        touched[gate], gates[#gates + 1] = true, gate
      end
    end
  end
  queue.stop_running(stopping)
  queue.emit('halted', halted)
  gates = without_turns(gates)
  if #gates > 0 then
    queue.admit(gates)
  end
end
