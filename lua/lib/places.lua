-- The place to which a job returns when it leaves `active`. A job's record holds the place at which it was enqueued; `places`
-- holds the place that it was given since, if it was given one.
-- needs: optional

-- The place in a record, as text; none if it cannot be read. What a delayed job's record holds
-- is not its place but the first one of its priority.
function queue.place_in(record)
  return string.match(record, '^..........(%-?%d+) ')
end

-- The places of `ids`, as text; nil for a job whose record is gone. And their records: already_read, if they were.
function queue.places_of(ids, already_read)
  local places = {}
  if #ids == 0 then
    return places, {}
  end
  local moved = queue.has(key.places) and redis.call('HMGET', key.places, unpack(ids)) or {}
  local records = already_read or redis.call('HMGET', key.jobs, unpack(ids))
  for i = 1, #ids do
    if records[i] then
      places[i] = moved[i] and string.match(moved[i], '^%-?%d+$')
        or queue.place_in(records[i]) or '0'
    end
  end
  return places, records
end
