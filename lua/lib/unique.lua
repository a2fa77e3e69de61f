-- Unique keys: of all jobs with the same key, one is there at a time. `unique` holds the job of each key that is taken. A key
-- that is taken for a time is in `remembered` as well, with the moment until which it is.
--
-- A job says in its head (head.lua) which key it has (`unique`); until when (`unique_until`: `started`, or for how many ms
-- from the moment at which it was enqueued; without it, until the job has ended); and what it does if another job has the
-- key (`on_duplicate`: `replace` or `debounce`; without it, nothing; see duplicate.lua).
-- needs: head, find, whole, places

local STARTED = 'started'
local OPEN = { waiting = true, blocked = true, delayed = true, active = true }

-- Keys that dead jobs have taken again in this call: these jobs are in no list yet.
local taken = {}

-- For how many ms a key is remembered; nil if it is taken as long as the job is there.
local function remembered_ms(until_what)
  return tonumber(string.match(until_what or '', '^%d+$'))
end

function queue.free_key(...)
  redis.call('HDEL', key.unique, ...)
  redis.call('ZREM', key.remembered, ...)
end

-- The job that has the key, its state, its score, the collection in which it is, and its record; nil if the key is free. A key whose
-- job has ended or is gone is free, if it is not remembered: another program deleted the job, or wrote a record that cannot be read.
function queue.owner_of_key(name)
  local id = redis.call('HGET', key.unique, name)
  if not id or taken[name] then
    return id or nil
  end
  local until_ms = tonumber(redis.call('ZSCORE', key.remembered, name) or '')
  local state, score, part = queue.find(id)
  local record = state and redis.call('HGET', key.jobs, id)
  if not (record and queue.place_in(record)) then
    state = nil
  end
  if until_ms and until_ms > now_ms or not until_ms and OPEN[state] then
    return id, state, score, part, record
  end
  queue.free_key(name)
  return nil
end

-- `until_what` is the field `unique_until` of the job.
function queue.give_key(name, id, until_what)
  local ms = remembered_ms(until_what)
  redis.call('HSET', key.unique, name, id)
  if ms then
    redis.call('ZADD', key.remembered, queue.whole(now_ms + ms), name)
  end
end

-- Jobs were stored, and have their keys: a list of ids, each followed by the job's record.
function queue.give_keys(stored)
  for i = 1, #stored, 2 do
    local name = queue.field_of(stored[i + 1], 'unique')
    if name then
      queue.give_key(name, stored[i], queue.field_of(stored[i + 1], 'unique_until'))
    end
  end
end

-- Those of the keys are free that belong to these jobs still.
local function free_if_theirs(names, ids)
  local owners, free = #names > 0 and redis.call('HMGET', key.unique, unpack(names)), {}
  for i = 1, #names do
    free[#free + 1] = owners[i] == ids[i] and names[i] or nil
  end
  if #free > 0 then
    queue.free_key(unpack(free))
  end
end

-- Jobs leave what they were: a list as for `leave` (leave.lua). The keys of those that have ended are free; a key that is
-- taken for a time only if its job is removed.
function queue.free_keys(jobs)
  local names, ids = {}, {}
  for _, job in ipairs(jobs) do
    local name = job.record and queue.field_of(job.record, 'unique')
    local is_open = job.to == 'waiting' or job.to == 'delayed'
    if name and not is_open
      and (job.to == 'removed' or not remembered_ms(queue.field_of(job.record, 'unique_until'))) then
      names[#names + 1], ids[#ids + 1] = name, job.id
    end
  end
  free_if_theirs(names, ids)
end

-- Jobs were claimed: keys that are taken until then are free.
function queue.free_started(ids, records)
  local names, of_ids = {}, {}
  for i = 1, #ids do
    -- Most jobs have no such field: they are not taken apart.
    local is_free = string.find(records[i], ' unique_until=' .. STARTED, 1, true)
      and queue.field_of(records[i], 'unique_until') == STARTED
    local name = is_free and queue.field_of(records[i], 'unique')
    if name then
      names[#names + 1], of_ids[#of_ids + 1] = name, ids[i]
    end
  end
  free_if_theirs(names, of_ids)
end

-- A dead job is to get in line again. Returns whether no other job has its key, which it then has, or whether its time with
-- the key is over.
function queue.take_key_again(id, record)
  local name, until_what = queue.field_of(record, 'unique'), queue.field_of(record, 'unique_until')
  if not name or remembered_ms(until_what) then
    return true
  end
  local other = queue.owner_of_key(name)
  if other and other ~= id then
    return false
  end
  queue.give_key(name, id, until_what)
  taken[name] = id
  return true
end
