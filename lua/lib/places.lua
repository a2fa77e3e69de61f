-- Where jobs go that leave `active` or `delayed`. A job's record holds the place it was
-- enqueued at. `places` holds the one it was given since, if it was; and of a delayed job what
-- its place is to be, if that is not the back of the default priority: `p<priority>[ front]`.

-- The place in a record, as text; none if it cannot be read. What a delayed job's record holds
-- is not its place but the first one of its priority.
function queue.place_in(record)
  return string.match(record, '^..........(%-?%d+) ')
end

-- The places of `ids`, as text; nil for a job whose record is gone.
function queue.places_of(ids)
  local places = {}
  if #ids == 0 then
    return places
  end
  local moved = queue.has(key.places) and redis.call('HMGET', key.places, unpack(ids)) or {}
  local records = redis.call('HMGET', key.jobs, unpack(ids))
  for i = 1, #ids do
    if records[i] then
      places[i] = moved[i] and string.match(moved[i], '^%-?%d+$')
        or queue.place_in(records[i]) or '0'
    end
  end
  return places
end

-- The options with which delayed jobs get in line: by id, a map of { priority, front }, or nil.
function queue.options_of(ids)
  local options = {}
  if not queue.has(key.places) then
    return options
  end
  local places = redis.call('HMGET', key.places, unpack(ids))
  for i = 1, #ids do
    local digits, front = string.match(places[i] or '', '^p(%d+)(.*)$')
    if digits then
      options[ids[i]] = { priority = tonumber(digits), front = front ~= '' }
    elseif places[i] then
      options[ids[i]] = { priority = queue.priority_at(places[i]) }
    end
  end
  return options
end
