-- Unique keys: of all jobs with the same key, one is there at a time, or one that runs and its successor (successor.lua).
-- `unique` holds the job of each key that is taken; a key that is taken for a time is in `remembered` as well, by the end of
-- that time.
--
-- A job says in its head (head.lua) which key it has (`unique`); until when (`unique_until`: `started`, or for how many ms
-- from the moment at which it was enqueued; without it, until the job has ended); and what it does if another job has the
-- key (`on_duplicate`: `replace`, `debounce` or `latest`; without it, nothing; see duplicate.lua).
-- needs: head, find, whole, places, owns
-- rarely: successor

-- Keys that dead jobs have taken again in this call: these jobs are in no list yet.
local taken = {}

-- For how many ms a key is remembered; nil if it is taken as long as the job is there.
function queue.remembered_ms(until_what)
  return tonumber(string.match(until_what or '', '^%d+$'))
end

function queue.free_key(...)
  redis.call('HDEL', key.unique, ...)
  redis.call('ZREM', key.remembered, ...)
end

-- The job that has the key, a map as of `change` (change.lua), with the id of its successor, if it has one (successor), and until
-- when the key is remembered (until_ms); nil if the key is free. A key whose job has ended or is gone is free, if it is not
-- remembered: another program deleted the job, or wrote a record that cannot be read.
function queue.owner_of_key(name)
  local id, successor = unpack(redis.call('HMGET', key.unique, name, name .. ' next'))
  if not id or taken[name] then
    return id and { id = id } or nil
  end
  local until_ms = tonumber(redis.call('ZSCORE', key.remembered, name) or '')
  local state, score, part = queue.find(id)
  local record = state and redis.call('HGET', key.jobs, id)
  if not (record and queue.place_in(record)) then
    state = nil
  end
  if queue.owns_key(state, until_ms) then
    return {
      id = id, state = state, score = score, part = part, record = record, successor = successor, until_ms = until_ms,
    }
  end
  queue.free_key(name)
  return successor and queue.let_successor_go(name, successor) and queue.owner_of_key(name) or nil
end

-- `until_what` is the field `unique_until` of the job.
function queue.give_key(name, id, until_what)
  local ms = queue.remembered_ms(until_what)
  redis.call('HSET', key.unique, name, id)
  if ms then
    redis.call('ZADD', key.remembered, queue.whole(now_ms + ms), name)
  end
end

-- Jobs were stored, and have their keys, or wait for them: a list of ids, each followed by the job's record.
-- options[positions[i]] is what is not default about a job, as in add.lua.
function queue.give_keys(stored, positions, options)
  for i = 1, #positions do
    local id, record = stored[2 * i - 1], stored[2 * i]
    local name = queue.field_of(record, 'unique')
    if name and options[positions[i]].follows then
      redis.call('HSET', key.unique, name .. ' next', id)
    elseif name then
      queue.give_key(name, id, queue.field_of(record, 'unique_until'))
    end
  end
end

-- A dead job is to get in line again. Returns whether no other job has its key, which it then has, or whether its time with
-- the key is over.
function queue.take_key_again(id, record)
  local name, until_what = queue.field_of(record, 'unique'), queue.field_of(record, 'unique_until')
  if not name or queue.remembered_ms(until_what) then
    return true
  end
  -- A job that is in no list may have its key still.
  if taken[name] or redis.call('HGET', key.unique, name) ~= id then
    local other = queue.owner_of_key(name)
    if other and other.id ~= id then
      return false
    end
    queue.give_key(name, id, until_what)
  end
  taken[name] = id
  return true
end
