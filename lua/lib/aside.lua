-- Jobs of paused names (paused_names.lua) that groups (gate.lua) hold back. They stay blocked and keep their places, but stand apart
-- in `blocked_by`, so that the jobs behind them go on: the member is `p`, the name, encoded, a 0 byte, and then what stands
-- among the jobs of the group. An order waits for its jobs of paused names.
-- needs: paused_names
-- rarely: job_name

-- So many more of them may be moved in this call.
local left = 256

-- What stands before the members of jobs of this name, encoded, without the 0 byte.
function queue.aside_of(word)
  return 'p' .. word
end

-- What a member begins with if the job of this record is aside; nil if the record has no name.
function queue.aside_prefix(record)
  local name = queue.name_in(record)
  return name and queue.aside_of(queue.word_of_name(name)) .. '\0'
end

-- So many jobs were moved. Returns how many more may be.
function queue.count_aside(n)
  left = left - n
  return left
end

-- A page, lists of ids, members, gates and due, as in `next_blocked`: jobs of paused names are moved. Returns the set of the
-- positions of those that were moved, and how many these are.
function queue.move_aside(page)
  local records, is_moved = redis.call('HMGET', key.jobs, unpack(page.ids)), {}
  local from, to = {}, {}
  for i = 1, #page.ids do
    local record = page.due[i] and records[i]
    if record and not page.gates[i].is_order and #from < left and queue.is_paused_job(record) then
      from[#from + 1], is_moved[i] = page.members[i], true
      to[#to + 1], to[#to + 2] = '0', queue.aside_prefix(record) .. page.members[i]
    end
  end
  if #from > 0 then
    redis.call('ZREM', key.blocked_by, unpack(from))
    redis.call('ZADD', key.blocked_by, unpack(to))
  end
  queue.count_aside(#from)
  return is_moved, #from
end

-- Takes out a job that may be aside. `member` is what it is among the jobs of its gate.
function queue.leave_aside(member, record)
  local prefix = queue.aside_prefix(record)
  if prefix then
    redis.call('ZREM', key.blocked_by, prefix .. member)
  end
end

-- Whether a job is aside.
function queue.is_aside(member, record)
  local prefix = queue.aside_prefix(record)
  return prefix and redis.call('ZSCORE', key.blocked_by, prefix .. member) and true
end

-- How many jobs of a gate are aside. Looks at each name once.
function queue.aside_in(gate)
  local n, behind = 0, '[p'
  while true do
    local member = redis.call('ZRANGE', key.blocked_by, behind, '+', 'BYLEX', 'LIMIT', '0', '1')[1]
    if not member then
      return n
    end
    local name = string.match(member, '^[^%z]*')
    local of_gate = name .. '\0' .. gate.name
    n = n + redis.call('ZLEXCOUNT', key.blocked_by, '[' .. of_gate .. '\0', '(' .. of_gate .. '\1')
    behind = '(' .. name .. '\1'
  end
end
