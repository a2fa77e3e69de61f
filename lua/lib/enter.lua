-- How a job enters a collection in which it waits: `waiting`, `delayed` or `suspects`.
-- Nothing else writes to these three, but for the pops in claim and promote.
--
-- ids: who enters, in order. options[i]: what is not default about ids[i], a map of
-- { priority, front, due_ms }, or nil.

local PLAIN = { priority = DEFAULT_PRIORITY }

-- Puts `ids` at their places: suspects (jobs whose worker died on them) among themselves,
-- all others in `waiting`.
local function enter_line(ids, scores)
  local stalls = has(key_stalls) and redis.call('HMGET', key_stalls, unpack(ids)) or {}
  local waiting, suspects = {}, {}
  for i = 1, #ids do
    local into = stalls[i] and suspects or waiting
    local at = #into
    into[at + 1] = scores[i]
    into[at + 2] = ids[i]
  end
  if #waiting > 0 then
    redis.call('ZADD', key_waiting, unpack(waiting))
  end
  if #suspects > 0 then
    redis.call('ZADD', key_suspects, unpack(suspects))
    made_optional()
  end
end

-- All go to the back of their priority, in order, but those with `front`, which go before
-- everything of their priority.
local function enter_waiting(ids, options)
  local n = #ids
  if n == 0 then
    return
  end
  local fronts = 0
  for i = 1, n do
    if options[i] and options[i].front then
      fronts = fronts + 1
    end
  end
  local back = fronts < n and take_back_places(n - fronts)
  local front = fronts > 0 and take_front_places(fronts)
  local scores = {}
  for i = 1, n do
    local option = options[i] or PLAIN
    if option.front then
      front = front - 1
      scores[i] = place(option.priority or DEFAULT_PRIORITY, front)
    else
      back = back + 1
      scores[i] = place(option.priority or DEFAULT_PRIORITY, back)
    end
  end
  enter_line(ids, scores)
end

-- Each has a due_ms. The place that is not the default is remembered in `later` until the job
-- is due. Arms the wake-up when the head moved.
local function enter_delayed(ids, options)
  local n = #ids
  if n == 0 then
    return
  end
  local members, later = {}, {}
  local earliest = options[1].due_ms
  for i = 1, n do
    local option = options[i]
    members[2 * i - 1] = whole(option.due_ms)
    members[2 * i] = ids[i]
    earliest = math.min(earliest, option.due_ms)
    if option.front or (option.priority or DEFAULT_PRIORITY) ~= DEFAULT_PRIORITY then
      later[#later + 1] = ids[i]
      later[#later + 1] = (option.priority or DEFAULT_PRIORITY) .. (option.front and ' front' or '')
    end
  end
  local head = redis.call('ZRANGE', key_delayed, 0, 0, 'WITHSCORES')
  redis.call('ZADD', key_delayed, unpack(members))
  if #later > 0 then
    redis.call('HSET', key_later, unpack(later))
    made_optional()
  end
  if not head[2] or earliest < tonumber(head[2]) then
    arm(earliest)
  end
end
