-- How a job enters a collection in which it waits: `waiting`, `delayed` or `suspects`.
-- Nothing else adds to these three.
-- rarely: optional, order, lines, due, delayed, arm

-- Puts `ids` at their places in `waiting`: jobs on which no worker died.
function queue.enter_waiting(ids, scores)
  local members = {}
  for i = 1, #ids do
    members[2 * i - 1], members[2 * i] = scores[i], ids[i]
  end
  redis.call('ZADD', key.waiting, unpack(members))
end

-- Puts `ids` at their places: suspects (jobs whose worker died on them) among themselves,
-- all others in `waiting`.
function queue.enter_line(ids, scores)
  if #ids == 0 then
    return
  end
  if not queue.has(key.stalls) then
    return queue.enter_waiting(ids, scores)
  end
  local stalls = redis.call('HMGET', key.stalls, unpack(ids))
  local waiting, suspects = {}, {}
  for i = 1, #ids do
    local into = stalls[i] and suspects or waiting
    local at = #into
    into[at + 1], into[at + 2] = scores[i], ids[i]
  end
  if #waiting > 0 then
    redis.call('ZADD', key.waiting, unpack(waiting))
  end
  if #suspects > 0 then
    redis.call('ZADD', key.suspects, unpack(suspects))
    queue.made(key.suspects)
  end
end

-- To places that they did not have before.
function queue.enter_at(ids, scores)
  if #ids == 0 then
    return
  end
  local moved = {}
  for i = 1, #ids do
    moved[2 * i - 1], moved[2 * i] = ids[i], scores[i]
  end
  redis.call('HSET', key.places, unpack(moved))
  queue.made(key.places)
  queue.enter_line(ids, scores)
end

-- To a new place, at the back of their priority or at the front of it. options[id] is a map of
-- { priority, front }, or nil.
function queue.enter_anew(ids, options)
  if #ids > 0 then
    queue.enter_at(ids, queue.take_places(ids, options))
  end
end

-- options[i] is a map of { due_ms, priority, front }. Arms the wake-up when the next one is due
-- earlier than it was.
function queue.enter_delayed(ids, options)
  local n = #ids
  if n == 0 then
    return
  end
  local members = {}
  local earliest = options[1].due_ms
  for i = 1, n do
    members[2 * i - 1], members[2 * i] = queue.delayed_score(options[i]), ids[i]
    earliest = math.min(earliest, options[i].due_ms)
  end
  local next_ms = queue.next_due()
  redis.call('ZADD', key.delayed, unpack(members))
  if not next_ms or earliest < next_ms then
    queue.set_due(earliest)
    queue.arm(earliest)
  end
end
