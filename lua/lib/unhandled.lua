-- Jobs that a worker handed back because it has no handler of their name. They keep their places in
-- line, but are stored apart from it: a worker that says for which names it has handlers takes them
-- (offers.lua). Jobs whose name is paused wait here as well (set_aside.lua). `unhandled` holds when a job may be too old, and
-- any worker is to look at it again; `names` holds the jobs by name; the field `<id>#name` of `attempts` holds for how long a
-- job waits until then (ms), and its name; and `asked` holds when a worker last asked for each name.
-- needs: meta, whole
-- rarely: lists, news, places, digits

-- A job's member of `names`: its name, its place and its id. All have one score, so they are in the
-- order of their bytes: those of one name stand together, and the first in line comes first.
function queue.offer_of(id, name, place)
  return name .. '\0' .. queue.digits_of(place) .. id
end

-- jobs[i] is a map of { id, name, after_ms }; places[id] is the place of the job. There is at least one.
function queue.store_unhandled(jobs, places)
  local moments, offers, names = {}, {}, {}
  for _, job in ipairs(jobs) do
    queue.append(moments, queue.whole(now_ms + job.after_ms), job.id)
    queue.append(offers, '0', queue.offer_of(job.id, job.name, places[job.id]))
    queue.append(names, job.id .. '#name', queue.whole(job.after_ms) .. ' ' .. job.name)
  end
  redis.call('ZADD', key.unhandled, unpack(moments))
  redis.call('ZADD', key.names, unpack(offers))
  redis.call('HSET', key.attempts, unpack(names))
end

-- The same, and every worker hears of them.
function queue.enter_unhandled(jobs, places)
  queue.store_unhandled(jobs, places)
  queue.tell_of_unhandled()
end

-- Takes jobs out. `offers` are their members of `names`.
function queue.take_unhandled(ids, offers)
  local fields = {}
  for i = 1, #ids do
    fields[i] = ids[i] .. '#name'
  end
  redis.call('ZREM', key.unhandled, unpack(ids))
  redis.call('HDEL', key.attempts, unpack(fields))
  if #offers > 0 then
    redis.call('ZREM', key.names, unpack(offers))
  end
  if redis.call('EXISTS', key.unhandled) == 0 then
    queue.none_unhandled()
  end
end

-- There is no unhandled job any more.
function queue.none_unhandled()
  queue.set_meta('unhandled', '0')
  redis.call('DEL', key.asked)
  if meta.limited then
    redis.call('HDEL', key.meta, 'offers_held')
  end
end

-- For how long each job waits after it was handed back (ms), and its name; no name for ids that
-- another program wrote to our keys.
function queue.names_of(ids)
  local fields, after, names = {}, {}, {}
  for i = 1, #ids do
    fields[i] = ids[i] .. '#name'
  end
  local values = redis.call('HMGET', key.attempts, unpack(fields))
  for i = 1, #ids do
    local digits, name = string.match(values[i] or '', '^(%d+) (.*)$')
    after[i], names[i] = queue.number(digits), name
  end
  return after, names
end

-- Takes jobs out. The caller then puts them somewhere else, or ends them.
function queue.leave_unhandled(ids)
  local _, names = queue.names_of(ids)
  local places, offers = queue.places_of(ids), {}
  for i = 1, #ids do
    if names[i] then
      offers[#offers + 1] = queue.offer_of(ids[i], names[i], places[i])
    end
  end
  queue.take_unhandled(ids, offers)
end
