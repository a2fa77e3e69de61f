-- What `leave` (leave.lua) has to know of jobs with traits whose attempts end, before that is carried out.
-- needs: arguments, gate
-- rarely: gated, paces, suspended

-- Those that have a group, and nothing else that their end sets free: a list of { the name of their gate, ids }. args.groups names
-- each group, and how many jobs in a row have it; the last of them is at position `last`. Their records need not be read.
local function of_groups(last, is_refused)
  local groups, position = {}, last
  for _, group in ipairs(args.groups) do
    position = position - group[2]
  end
  for _, group in ipairs(args.groups) do
    local ids = { unpack(ARGV, position + 2, position + group[2] + 1) }
    for i = #ids, 1, -1 do
      if is_refused[position + i] then
        table.remove(ids, i)
      end
    end
    position = position + group[2]
    if #ids > 0 then
      groups[#groups + 1] = { 'g' .. group[1], ids }
    end
  end
  return #groups > 0 and groups or nil
end

-- Of jobs that complete (settle.lua): of those that have traits, the last args.with_traits before the job at position
-- first_other, and before these the jobs of args.groups, but for those that were refused. Nil if there are none.
function queue.completing(first_other, refused)
  local n = args.with_traits or 0
  if n == 0 and not args.groups then
    return nil
  end
  local is_refused, ids, results, leaving = {}, {}, {}, {}
  for _, position in ipairs(refused) do
    is_refused[position + 1] = true
  end
  for i = first_other - n, first_other - 1 do
    if not is_refused[i] then
      ids[#ids + 1], results[#ids + 1] = ARGV[i + 1], ARGV[args.settle + 1 + i]
    end
  end
  local records = #ids > 0 and redis.call('HMGET', key.jobs, unpack(ids))
  for i = 1, #ids do
    leaving[i] = { id = ids[i], record = records[i], from = 'active', to = 'ended', outcome = results[i] }
  end
  leaving.of_groups = args.groups and of_groups(first_other - n - 1, is_refused)
  return leaving
end

-- Of attempts that end otherwise (outcome.lua): appends to the list `leaving`, and returns it. records[i] belongs to others[i].
-- Each suspended one learns how it ends.
function queue.add_leaving(leaving, others, records)
  queue.find_ends_of_waits(others)
  local GOES = { completed = 'ended', cancelled = 'ended', compensated = 'ended', dead = 'dead', rate_limited = 'waiting', untold = 'delayed' }
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
        outcome = to == 'dead' and cmsgpack.pack({ dead = other.reason }) or other.blob,
      }
    end
  end
  return leaving
end
