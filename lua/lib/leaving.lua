-- What `leave` (leave.lua) has to know of jobs with traits whose attempts end, before that is carried out.
-- needs: arguments, gate
-- rarely: gated, paces

-- Of jobs that complete (settle.lua): of those that have traits, the last
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

-- Of attempts that end otherwise (outcome.lua): appends to the list `leaving`, and returns it. records[i] belongs to others[i].
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
      local name = other.outcome == 'rate_limited' and records[i] and queue.gate_of(records[i])
      local gate = name and queue.gate(name)
      if gate and not gate.is_order then
        -- Only its group has to wait, and not the whole queue.
        queue.hold_group(gate, now_ms + other.after_ms)
        other.outcome = 'released'
      end
      leaving[#leaving + 1] = {
        id = other.id, record = records[i], from = 'active', to = to, bounced = other.outcome == 'bounced',
      }
    end
  end
  return leaving
end
