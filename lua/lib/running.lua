-- Which jobs with a gate (gate.lua) run. `running` has a member for each: the name of the gate, a 0 byte, and the id, all with
-- the score 0. How many jobs of a group run is counted there, so it is right whatever else is lost. As long as a job is there,
-- so is the sentinel: the set has about as many members as jobs run, and as a list each of them would be searched for.
-- needs: whole, sentinel

function queue.running_member(gate, id)
  gate.start = gate.start or gate.name .. '\0'
  return gate.start .. id
end

-- How many jobs of a gate run. It is counted once in a call; who changes it afterwards changes gate.active.
function queue.active_in(gate)
  gate.active = gate.active
    or redis.call('ZLEXCOUNT', key.running, '[' .. gate.name .. '\0', '(' .. gate.name .. '\1')
  return gate.active
end

-- The ids of the first `limit` jobs of a gate that run.
function queue.running_of(gate, limit)
  local ids = redis.call('ZRANGE', key.running, '[' .. gate.name .. '\0', '(' .. gate.name .. '\1',
    'BYLEX', 'LIMIT', '0', queue.whole(limit))
  for i = 1, #ids do
    ids[i] = string.sub(ids[i], #gate.name + 2)
  end
  return ids
end

-- members: a list of '0', member, '0', member ..
function queue.start_running(members)
  if #members > 0 then
    redis.call('ZADD', key.running, '0', SENTINEL, unpack(members))
  end
end

function queue.stop_running(members)
  if #members > 0 then
    redis.call('ZREM', key.running, unpack(members))
    if redis.call('ZCARD', key.running) == 1 then
      redis.call('ZREM', key.running, SENTINEL)
    end
  end
end
