-- What a claim does for jobs with a gate (gate.lua): leaves those that are held back, and takes others instead.
-- needs: claim, fitting, gate, pass, admit
-- rarely: meta, optional, blocked, rate, count, running, lists

-- Takes up to `limit` jobs of at most `max_bytes` of those that a group holds back, as if each had stood in line. Jobs whose
-- worker died on them are left: they run only as suspects (suspects.lua). Returns what `fitting` returns of them, and whether
-- there may be more.
local function take_from_group(gate, limit, max_bytes)
  local room = math.min(limit, queue.room_in(gate))
  local ids, members = {}, {}
  if room > 0 and meta.blocked then
    ids, members = queue.next_blocked(gate, room)
  end
  local stalls = #ids > 0 and queue.has(key.stalls) and redis.call('HMGET', key.stalls, unpack(ids)) or {}
  local harmless = #ids
  for i = #ids, 1, -1 do
    harmless = stalls[i] and i - 1 or harmless
  end
  ids = { unpack(ids, 1, harmless) }
  if harmless == 0 then
    return {}, {}, {}, 0, 0, false
  end
  local records = redis.call('HMGET', key.jobs, unpack(ids))
  local taken, taken_records, external, seen, bytes = queue.fitting(ids, records, max_bytes, 'must fit')
  if seen > 0 then
    queue.take_blocked({ unpack(ids, 1, seen) }, { unpack(members, 1, seen) })
    local starting = {}
    for i = 1, #taken do
      queue.append(starting, '0', queue.running_member(gate, taken[i]))
    end
    queue.start_running(starting)
    gate.active = gate.active and gate.active + #taken
  end
  return taken, taken_records, external, seen, bytes, seen == room
end

-- What is being claimed, and the groups that this touches.
local claimed, groups

-- Adds jobs to what is being claimed. `external`: the positions of those whose payload lies apart. held: the ids of those
-- that are not added.
local function add(ids, records, external, held)
  local apart = {}
  for _, position in ipairs(external) do
    apart[position] = true
  end
  for i, id in ipairs(ids) do
    if not held[id] then
      local at = #claimed.ids + 1
      claimed.ids[at], claimed.records[at] = id, records[i]
      if apart[i] then
        claimed.external[#claimed.external + 1] = at
      end
    elseif meta.limited then
      queue.take_back_start(records[i])
    end
  end
end

-- Of what was taken out of the line, adds what may start.
local function add_what_may_start(part)
  local held, touched = queue.pass_gates(part.ids, part.records)
  add(part.ids, part.records, part.external, held)
  claimed.bytes = claimed.bytes + part.bytes
  for _, gate in ipairs(touched) do
    if not groups[gate.name] then
      groups[gate.name], groups[#groups + 1] = true, gate
    end
  end
end

-- Takes jobs that the groups hold back, as many of each group. Once the line is empty, only these are left, and they are those
-- of the groups of which a job starts: every other group that may run has a job in line.
local function take_from_groups(limit, max_bytes)
  local open = groups
  while #open > 0 and #claimed.ids < limit do
    local share, more = math.ceil((limit - #claimed.ids) / #open), {}
    for _, gate in ipairs(open) do
      local at_most = math.min(share, limit - #claimed.ids)
      local ids, records, external, seen, bytes, may_have_more =
        take_from_group(gate, at_most, max_bytes - claimed.bytes)
      add(ids, records, external, {})
      claimed.bytes = claimed.bytes + bytes
      queue.count('orphans', seen - #ids)
      if may_have_more then
        more[#more + 1] = gate
      end
    end
    open = more
  end
end

-- `part` is what was taken out of the line, as take_from_line returns it. Returns the same with what may start in it. If there is
-- room, more is taken: from the line, and once the line is empty, from what the groups hold back.
function queue.go_by_gates(part, limit, max_bytes)
  local ROUNDS = 4
  claimed = {
    ids = {}, records = {}, external = {}, bytes = 0, suspects = part.suspects, offers_left = part.offers_left,
  }
  groups = {}
  local is_line_left = redis.call('EXISTS', key.waiting) == 1
  add_what_may_start(part)
  for _ = 2, ROUNDS do
    if not is_line_left or #claimed.ids >= limit or claimed.bytes >= max_bytes then
      break
    end
    part = queue.take_from_line(limit - #claimed.ids, max_bytes - claimed.bytes, 0, 'must fit')
    claimed.offers_left = claimed.offers_left or part.offers_left
    is_line_left = redis.call('EXISTS', key.waiting) == 1
    add_what_may_start(part)
  end
  if not is_line_left then
    take_from_groups(limit, max_bytes)
  end
  if meta.limited then
    queue.save_started()
  end
  queue.admit(groups)
  return claimed
end
