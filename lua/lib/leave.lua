-- Jobs with traits leave what they were: what their gates (gate.lua) hold back may go on, and their keys (unique.lua) may be
-- free.
-- needs: gate, admit, head
-- rarely: emit, gated, running, unique

-- What `leave` has to know of attempts that end (outcome.lua), before that is carried out.
function queue.leaving(others)
  local GOES = { completed = 'ended', cancelled = 'ended', dead = 'dead', rate_limited = 'waiting' }
  local leaving = {}
  for _, other in ipairs(others) do
    if other.traits then
      local known = GOES[other.outcome]
      local to = known or 'waiting'
      if not known and (other.after_ms or 0) > 0 and not other.name then
        queue.expect_group(now_ms + other.after_ms)
        to = other.outcome == 'bounced' and to or 'delayed'
      end
      local record = redis.call('HGET', key.jobs, other.id)
      leaving[#leaving + 1] = { id = other.id, record = record, from = 'active', to = to, bounced = other.outcome == 'bounced' }
    end
  end
  return leaving
end

-- Jobs leave what they were: a list of { id, record, from, to }. `from`: the list in which a job was ('active', 'waiting', ..,
-- 'lost' for none; 'blocked' jobs have left theirs already), `to`: where it goes ('waiting', 'delayed', 'dead', 'removed',
-- 'moved' if it comes to its gate anew, 'ended' for all else). What waits for them may go on.
function queue.leave(jobs)
  queue.free_keys(jobs)
  local gates, touched, halted, stopping = {}, {}, {}, {}
  for _, job in ipairs(jobs) do
    local name = job.record and queue.gate_of(job.record)
    if name then
      local gate = queue.gate(name)
      if gate.is_order and gate.turn == job.id then
        local on_failure = queue.field_of(job.record, 'on_failure')
        gate.halted = job.to == 'dead' and on_failure == 'halt'
        if gate.halted then
          halted[#halted + 1] = job.id
        elseif job.to ~= 'waiting' and (job.to ~= 'delayed' or on_failure == 'pass') then
          queue.set_turn(gate, nil, gate.place)
        end
      elseif not gate.is_order and gate.turn == job.id then
        queue.set_turn(gate, nil, gate.place)
      end
      if job.from == 'active' or job.from == 'lost' then
        stopping[#stopping + 1] = queue.running_member(gate, job.id)
        gate.active = nil
      end
      if not touched[name] then
        touched[name], gates[#gates + 1] = true, gate
      end
    end
  end
  queue.stop_running(stopping)
  queue.emit('halted', halted)
  if #gates > 0 then
    queue.admit(gates)
  end
end
