-- Jobs that a worker handed back because it has no handler of their name. They keep their places in
-- line, apart from it: a worker that says for which names it has handlers takes them (offers.lua).
-- `unhandled` holds when any worker is to look at them again, for they may be too old by then;
-- `names` holds them by name; and the field `<id>#name` of `attempts` is the name.

-- A place as 16 digits, of which the bytes are in the order of the places.
function queue.digits_of(place)
  -- Makes every place a positive number.
  local OFFSET = 500 * 2 ^ 43 + 2 ^ 42
  return string.format('%016d', OFFSET + (tonumber(place) or 0))
end

-- A job's member of `names`: its name, its place and its id. All have one score, so they are in the
-- order of their bytes: those of one name stand together, and the first in line comes first.
function queue.offer_of(id, name, place)
  return name .. '\0' .. queue.digits_of(place) .. id
end

-- jobs[i] is a map of { id, name, after_ms }; places[id] is the place of the job.
function queue.enter_unhandled(jobs, places)
  if #jobs == 0 then
    return
  end
  local moments, offers, names = {}, {}, {}
  for _, job in ipairs(jobs) do
    queue.append(moments, queue.whole(now_ms + job.after_ms), job.id)
    queue.append(offers, '0', queue.offer_of(job.id, job.name, places[job.id]))
    queue.append(names, job.id .. '#name', job.name)
  end
  redis.call('ZADD', key.unhandled, unpack(moments))
  redis.call('ZADD', key.names, unpack(offers))
  redis.call('HSET', key.attempts, unpack(names))
  queue.tell_of_unhandled()
end

-- Takes jobs out, which the caller puts somewhere else, or ends.
function queue.leave_unhandled(ids)
  local fields, offers = {}, {}
  for i = 1, #ids do
    fields[i] = ids[i] .. '#name'
  end
  local names, places = redis.call('HMGET', key.attempts, unpack(fields)), queue.places_of(ids)
  for i = 1, #ids do
    if names[i] then
      offers[#offers + 1] = queue.offer_of(ids[i], names[i], places[i])
    end
  end
  redis.call('ZREM', key.unhandled, unpack(ids))
  redis.call('HDEL', key.attempts, unpack(fields))
  if #offers > 0 then
    redis.call('ZREM', key.names, unpack(offers))
  end
  if redis.call('EXISTS', key.unhandled) == 0 then
    queue.set_meta('unhandled', '0')
  end
end

-- Puts those back in line, at most `limit`, at which any worker is to look again. Returns how many.
function queue.offer_again(limit)
  local ids = redis.call('ZRANGEBYSCORE', key.unhandled, '-inf', now_ms, 'LIMIT', 0, limit)
  if #ids > 0 then
    local places = queue.places_of(ids)
    for i = 1, #ids do
      places[i] = places[i] or '0'
    end
    queue.leave_unhandled(ids)
    queue.enter_line(ids, places)
    queue.emit('waiting', ids)
  end
  return #ids
end

-- Tells every worker once more. One that was about to go idle may have missed the news.
function queue.tell_again()
  local AT_MOST = 256
  queue.offer_again(AT_MOST)
  if queue.number(meta.unhandled) > 0 then
    queue.tell_of_unhandled()
  end
end
