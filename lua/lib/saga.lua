-- Sagas: jobs whose steps have to be undone before they may end without success. The field `<id>#undo` of `attempts` is there from the
-- first step of a saga on: OWED while it goes forward, and then why it is to be undone, as that is stored for a cancelled job. From
-- OWED on only the handler of such a job ends it: whoever wants its end says so here, and the job stays where it is, or goes in
-- line again.
-- needs: optional, attempts, steps

local OWED = 'owed'

-- Its attempts count from the first again: the number of failed ones is the first of a job's counters (attempts.lua).
function queue.renew_attempts(counters)
  counters[1] = 0
end

function queue.undo_field(id)
  return id .. '#undo'
end

-- What the field holds, by id, of those of the jobs that have it.
function queue.sagas_among(ids)
  local sagas = {}
  if #ids == 0 or not queue.has(key.attempts) then
    return sagas
  end
  local fields = {}
  for i = 1, #ids do
    fields[i] = queue.undo_field(ids[i])
  end
  local found = redis.call('HMGET', key.attempts, unpack(fields))
  for i = 1, #ids do
    sagas[ids[i]] = found[i] or nil
  end
  return sagas
end

-- Whether a saga goes forward; `state` is what its field holds.
function queue.goes_forward(state)
  return state == OWED
end

-- A step of a saga begins: from now on the saga is not ended by others.
function queue.owe_undo(id)
  redis.call('HSETNX', key.attempts, queue.undo_field(id), OWED)
end

-- A saga is to be undone, and has all its attempts for that. What was asked for first stays: call it only while the saga goes forward.
function queue.begin_undo(id, why)
  redis.call('HSET', key.attempts, queue.undo_field(id), why)
  local counters = queue.read_counters(id)
  queue.renew_attempts(counters)
  queue.write_counters(id, queue.count_steps(counters, queue.stepped(counters)))
end

-- The steps of a saga: that one begins is stored, and then how it ended; after that it may be undone, and one that has failed may begin
-- again.
local FOLLOWS = { begun = 'failed', done = 'begun', failed = 'begun', undone = 'done' }

-- Whether a step of this kind may become one of that kind.
function queue.follows(known, kind)
  return FOLLOWS[kind] == known
end
