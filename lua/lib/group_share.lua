-- A claim that has emptied the line takes what groups (gate.lua) hold back, in equal shares. Every other group that may run
-- has a job in line.
-- needs: meta, fitting, next_blocked, admission, group_limit, running, turn, optional, count

-- Jobs whose worker died on them are left: they run only as suspects (suspects.lua). Of the jobs of each gate, those behind
-- such a job are left as well. Returns which jobs of a page are left.
local function left_for_suspects(page)
  local left, is_behind = {}, {}
  local stalls = #page.ids > 0 and queue.has(key.stalls) and redis.call('HMGET', key.stalls, unpack(page.ids))
  for i = 1, stalls and #page.ids or 0 do
    is_behind[page.gates[i]] = is_behind[page.gates[i]] or stalls[i]
    left[i] = is_behind[page.gates[i]]
  end
  return left
end

local function taken_behind(gate)
  return gate.next and gate.next.is_taken
end

-- Of each gate, what fits of its jobs in a page, as if each had stood in line. Those that start are added to `starting`, a list as of
-- `start_running`. is_alone: there is one open group. Of one that has no limits, the job behind the page is taken as well, to get in
-- line (heads.lua). Returns the gates of which something is left.
local function take_page(page, limit, max_bytes, claimed, starting, is_alone)
  local left, records = left_for_suspects(page), redis.call('HMGET', key.jobs, unpack(page.row or page.ids))
  local ids, stopped, i = {}, {}, 1
  while page.ids[i] do
    local gate, from, own, of_own = page.gates[i], i, {}, {}
    if i == 1 and not next(left) and page.gates[#page.ids] == gate then
      -- The page is of one gate.
      own, of_own, i = page.ids, records, #page.ids + 1
    end
    while page.gates[i] == gate do
      if not left[i] then
        own[#own + 1], of_own[#of_own + 1] = page.ids[i], records[i]
      end
      i = i + 1
    end
    local taken, taken_records, external, seen, bytes =
      queue.fitting(own, of_own, max_bytes - claimed.bytes, 'must fit')
    if from == 1 and seen == #own then
      ids = own
    else
      local n = #ids
      for k = 1, seen do
        ids[n + k] = own[k]
      end
    end
    local at, number = #starting, queue.number_of_gate(gate)
    for k = 1, #taken do
      starting[at + 1], starting[at + 2] = number, taken[k]
      at = at + 2
    end
    queue.add_claimed(taken, taken_records, external)
    queue.count('orphans', seen - #taken)
    queue.start_in(gate, #taken)
    claimed.bytes = claimed.bytes + bytes
    stopped[gate] = seen < i - from
    if stopped[gate] then
      gate.next = nil
    elseif is_alone and page.row and gate.next and #claimed.ids == limit and queue.room_in(gate) == math.huge then
      -- Nobody is in line, and no other group is open: it gets the turn in any case.
      queue.set_turn(gate, nil)
      gate.next.is_taken, gate.next.record = true, records[seen + 1]
    end
    if seen > 0 then
      -- They are the first of this gate, so nothing else lies between them.
      local last = taken_behind(gate) and gate.next.member or page.members[from + seen - 1]
      redis.call('ZREMRANGEBYLEX', key.blocked_by, '[' .. page.members[from], '[' .. last)
    end
  end
  if page.row and #ids == #page.ids then
    local last = taken_behind(page.gates[1]) and page.gates[1].next.id or ids[#ids]
    redis.call('ZREMRANGEBYLEX', key.blocked, '[' .. ids[1], '[' .. last)
  elseif #ids > 0 then
    redis.call('ZREM', key.blocked, unpack(ids))
  end
  return stopped
end

-- As many jobs of each of these groups, as long as there is room for more. starting: as of take_page.
function queue.take_from_groups(groups, limit, max_bytes, claimed, starting)
  local ROUNDS = 16
  local open, round = meta.blocked and groups or {}, 0
  while #open > 0 and #claimed.ids < limit and round < ROUNDS do
    round = round + 1
    local room, free, limits, more = limit - #claimed.ids, {}, {}, {}
    local share = math.ceil(room / #open)
    for _, gate in ipairs(open) do
      local most = math.min(share, queue.room_in(gate))
      if most > 0 then
        free[#free + 1], limits[#limits + 1] = gate, most
      end
    end
    local page, found = queue.next_blocked(free, limits, room, true)
    local stopped = #page.ids > 0 and take_page(page, limit, max_bytes, claimed, starting, #groups == 1) or {}
    for i, gate in ipairs(free) do
      if found[i] == limits[i] and not stopped[gate] then
        more[#more + 1] = gate
      end
    end
    open = more
  end
end
