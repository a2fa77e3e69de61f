-- How a job enters a collection in which it waits: `waiting`, `delayed` or `suspects`.
-- Nothing else writes to these three, but for the pops in claim and promote.

-- Puts `ids` at their places: suspects (jobs whose worker died on them) among themselves,
-- all others in `waiting`.
local function enter_line(ids, scores)
  local stalls = {}
  if redis.call('EXISTS', key_stalls) == 1 then
    stalls = redis.call('HMGET', key_stalls, unpack(ids))
  end
  local waiting, suspects = {}, {}
  for i = 1, #ids do
    local into = stalls[i] and suspects or waiting
    into[#into + 1] = scores[i]
    into[#into + 1] = ids[i]
  end
  if #waiting > 0 then
    redis.call('ZADD', key_waiting, unpack(waiting))
  end
  if #suspects > 0 then
    redis.call('ZADD', key_suspects, unpack(suspects))
  end
end

-- entries: list of { id, priority, front }. All go to the back of their priority in the order
-- given, but those with `front`, which go before everything of their priority.
local function enter_waiting(entries)
  local n = #entries
  if n == 0 then
    return
  end
  local fronts = 0
  for i = 1, n do
    fronts = fronts + (entries[i].front and 1 or 0)
  end
  local back = fronts < n and take_back_places(n - fronts)
  local front = fronts > 0 and take_front_places(fronts)
  local ids, scores = {}, {}
  for i = 1, n do
    local entry = entries[i]
    ids[i] = entry.id
    if entry.front then
      front = front - 1
      scores[i] = place(entry.priority, front)
    else
      back = back + 1
      scores[i] = place(entry.priority, back)
    end
  end
  enter_line(ids, scores)
end

-- entries: list of { id, due_ms, priority, front }. What the default place is not is
-- remembered in `later` until the job is due. Arms the wake-up when the head moved.
local function enter_delayed(entries)
  local n = #entries
  if n == 0 then
    return
  end
  local members, later = {}, {}
  local earliest = entries[1].due_ms
  for i = 1, n do
    local entry = entries[i]
    members[2 * i - 1] = entry.due_ms
    members[2 * i] = entry.id
    if entry.due_ms < earliest then
      earliest = entry.due_ms
    end
    if entry.front or entry.priority ~= DEFAULT_PRIORITY then
      later[#later + 1] = entry.id
      later[#later + 1] = entry.priority .. (entry.front and ' front' or '')
    end
  end
  local head = redis.call('ZRANGE', key_delayed, 0, 0, 'WITHSCORES')
  redis.call('ZADD', key_delayed, unpack(members))
  if #later > 0 then
    redis.call('HSET', key_later, unpack(later))
  end
  if not head[2] or earliest < tonumber(head[2]) then
    arm(earliest)
  end
end
