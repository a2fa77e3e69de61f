-- Jobs with traits leave what they were: what their gates (gate.lua) hold back may go on, and their keys (unique.lua) may be free.
-- needs: arguments, gate, turn, admit, head
-- rarely: emit, gated, running, freed

-- What `leave` has to know of jobs that complete (settle.lua), before that is carried out: of those that have traits, the last
-- args.with_traits before the job at position first_other, but for those that were refused.
function queue.completing(completed, first_other, refused)
  local n, leaving = args.with_traits, {}
  for _, position in ipairs(refused) do
    if position + 1 >= first_other - args.with_traits and position + 1 < first_other then
      n = n - 1
    end
  end
  local ids = { unpack(completed, #completed - n + 1) }
  local records = n > 0 and redis.call('HMGET', key.jobs, unpack(ids))
  for i = 1, n do
    leaving[i] = { id = ids[i], record = records[i], from = 'active', to = 'ended' }
  end
  return leaving
end

-- The same of attempts that end otherwise (outcome.lua): appends to the list `leaving`, and returns it. records[i] belongs to others[i].
function queue.add_leaving(leaving, others, records)
  local GOES = { completed = 'ended', cancelled = 'ended', dead = 'dead', rate_limited = 'waiting' }
  for i, other in ipairs(others) do
    if other.traits then
      local known = GOES[other.outcome]
      local to = known or 'waiting'
      if not known and (other.after_ms or 0) > 0 and not other.name then
        queue.expect_group(now_ms + other.after_ms)
        to = other.outcome == 'bounced' and to or 'delayed'
      end
      leaving[#leaving + 1] = {
        id = other.id, record = records[i], from = 'active', to = to, bounced = other.outcome == 'bounced',
      }
    end
  end
  return leaving
end

-- Jobs leave what they were: a list of { id, record, from, to }. `from`: the list in which a job was ('active', 'waiting', .., 'lost' for
-- none; 'blocked' jobs have left theirs already), `to`: where it goes ('waiting', 'delayed', 'dead', 'removed', 'ended' for all else).
-- What waits for them may go on.
function queue.leave(jobs)
  queue.free_keys(jobs)
  local records, gates, touched, halted, stopping = {}, {}, {}, {}, {}
  for i, job in ipairs(jobs) do
    records[i] = job.record
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
        stopping[#stopping + 1] = queue.running_member(gate, job.id)
        gate.active = nil
      end
      if not touched[gate] then
        touched[gate], gates[#gates + 1] = true, gate
      end
    end
  end
  queue.stop_running(stopping)
  queue.emit('halted', halted)
  if #gates > 0 then
    queue.admit(gates)
  end
end
