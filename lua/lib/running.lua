-- Which jobs with a gate (gate.lua) run: their ids are in `running`, each with the number of its gate as the score. How many jobs of
-- a group run is counted there, so it is right whatever else is lost. As long as a job is there, so is the sentinel: the set has
-- about as many members as jobs run, and as a list each of them would be searched for.
--
-- The number of a gate is made of its name. An id and a number that are there anyway cost less than a text for each job. Should two
-- gates have the same number, their jobs are counted together: fewer may start of each, and never more.
-- needs: whole, sentinel

-- Of 52 bits, as text: a double holds it exactly.
function queue.number_of_gate(gate)
  gate.number = gate.number or queue.whole(tonumber(string.sub(redis.sha1hex(gate.name), 1, 13), 16))
  return gate.number
end

-- How many jobs of a gate run. It is counted once in a call; who changes it afterwards changes gate.active.
function queue.active_in(gate)
  local number = queue.number_of_gate(gate)
  gate.active = gate.active or redis.call('ZCOUNT', key.running, number, number)
  return gate.active
end

-- The ids of the first `limit` jobs of a gate that run.
function queue.running_of(gate, limit)
  local number = queue.number_of_gate(gate)
  return redis.call('ZRANGEBYSCORE', key.running, number, number, 'LIMIT', '0', queue.whole(limit))
end

-- jobs: a list of the number of a gate and an id, and so on.
function queue.start_running(jobs)
  if #jobs > 0 then
    redis.call('ZADD', key.running, '-1', SENTINEL, unpack(jobs))
  end
end

function queue.stop_running(ids)
  if #ids > 0 then
    redis.call('ZREM', key.running, unpack(ids))
    if redis.call('ZCARD', key.running) == 1 then
      redis.call('ZREM', key.running, SENTINEL)
    end
  end
end
