-- The place of a job in line: its score in `waiting`.
-- (priority - 500) * 2^43 + sequence: the sequence grows from 0, and `front` counts down from
-- there. So the places of the default priority, 500, are small numbers, which are cheap to
-- write and to read; and each is a whole number below 2^53, which a double holds exactly.
-- needs: meta, whole
-- rarely: room
local PRIORITY_STEP, PRIORITY_AT_ZERO = 2 ^ 43, 500

-- Gives each of `jobs` the next place at the back of its priority, or at the front of it.
-- options[jobs[i]] is what is not default about jobs[i], a map of { priority, front }, or nil.
-- Jobs that are due and not promoted yet go before them. Returns the scores as text.
function queue.take_places(jobs, options)
  if meta.due and queue.number(meta.due) <= now_ms then
    queue.leave_room()
  end
  local format = string.format
  local back, front = queue.number(meta.sequence), tonumber(meta.front) or 0
  local back_before, front_before = back, front
  local scores = {}
  for i = 1, #jobs do
    local option, base = options[jobs[i]], 0
    if option and option.priority then
      base = (option.priority - PRIORITY_AT_ZERO) * PRIORITY_STEP
    end
    if option and option.front then
      front = front - 1
      scores[i] = format('%d', base + front)
    else
      back = back + 1
      scores[i] = format('%d', base + back)
    end
  end
  if back ~= back_before then
    queue.set_meta('sequence', queue.whole(back))
  end
  if front ~= front_before then
    queue.set_meta('front', queue.whole(front))
  end
  return scores
end

-- What stands in the record of a delayed job: the first place of its priority.
function queue.first_places(options)
  local places = {}
  for i = 1, #options do
    local priority = options[i].priority or PRIORITY_AT_ZERO
    places[i] = queue.whole((priority - PRIORITY_AT_ZERO) * PRIORITY_STEP)
  end
  return places
end

-- The priority that a place was made with.
function queue.priority_at(place)
  local steps = ((tonumber(place) or 0) + PRIORITY_STEP / 2) / PRIORITY_STEP
  return math.floor(steps) + PRIORITY_AT_ZERO
end
