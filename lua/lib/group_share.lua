-- A claim that has emptied the line takes what groups (gate.lua) hold back, in equal shares. Every other group that may run
-- has a job in line.
-- needs: meta, fitting, blocked, admission, group_limit, running, optional, count

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

-- Of each gate, what fits of its jobs in a page, as if each had stood in line. Returns the gates of which something is left.
local function take_page(page, max_bytes, claimed)
  local left, records = left_for_suspects(page), redis.call('HMGET', key.jobs, unpack(page.ids))
  local ids, starting, stopped, i = {}, {}, {}, 1
  while page.ids[i] do
    local gate, from, own, of_own = page.gates[i], i, {}, {}
    while page.gates[i] == gate do
      if not left[i] then
        own[#own + 1], of_own[#of_own + 1] = page.ids[i], records[i]
      end
      i = i + 1
    end
    local taken, taken_records, external, seen, bytes =
      queue.fitting(own, of_own, max_bytes - claimed.bytes, 'must fit')
    local n = #ids
    for k = 1, seen do
      ids[n + k] = own[k]
    end
    if seen > 0 then
      -- They are the first of this gate, so nothing else lies between them.
      redis.call('ZREMRANGEBYLEX', key.blocked_by, '[' .. page.members[from], '[' .. page.members[from + seen - 1])
    end
    local at, start = #starting, queue.running_member(gate, '')
    for k = 1, #taken do
      starting[at + 1], starting[at + 2] = '0', start .. taken[k]
      at = at + 2
    end
    queue.add_claimed(taken, taken_records, external, {})
    queue.count('orphans', seen - #taken)
    queue.start_in(gate, #taken)
    claimed.bytes = claimed.bytes + bytes
    stopped[gate] = seen < i - from
  end
  if #ids > 0 then
    redis.call('ZREM', key.blocked, unpack(ids))
  end
  queue.start_running(starting)
  return stopped
end

-- As many jobs of each of these groups, as long as there is room for more.
function queue.take_from_groups(groups, limit, max_bytes, claimed)
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
    local page, found = queue.next_blocked(free, limits, room)
    local stopped = #page.ids > 0 and take_page(page, max_bytes, claimed) or {}
    for i, gate in ipairs(free) do
      if found[i] == limits[i] and not stopped[gate] then
        more[#more + 1] = gate
      end
    end
    open = more
  end
end
