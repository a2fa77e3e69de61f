-- Gates of which another program has deleted something: the job that has the turn, a job that runs, what is told in `meta`.
-- Jobs that such a gate holds back would wait until the next job of its key comes. And names that were resumed, and are not in `paced`
-- any more.
-- needs: meta, gate, group_limit, running
-- rarely: admit, unset, paused_names, resumed

-- Jobs in `running` that do not run are dropped, among the first `limit` of a gate. Returns how many were
-- looked at.
local function drop_stale(gate, limit)
  local ids = queue.running_of(gate, limit)
  if #ids == 0 then
    return 0
  end
  local leases, claims = redis.call('ZMSCORE', key.active, unpack(ids)), redis.call('HMGET', key.claims, unpack(ids))
  local stale = {}
  for i = 1, #ids do
    if not leases[i] and not claims[i] then
      stale[#stale + 1] = ids[i]
    end
  end
  queue.stop_running(stale)
  gate.active = nil
  return #ids
end

-- Looks at up to `limit` gates that hold jobs back, and at as many of the jobs that run of groups that may start no more. The
-- next call goes on behind the last of them: meta.tended.
function queue.tend_gates(limit)
  if not meta.blocked then
    if redis.call('EXISTS', key.blocked) == 0 then
      return
    end
    queue.set_meta('blocked', '1')
  end
  local name, gates, budget, looked = redis.call('HGET', key.meta, 'tended'), {}, limit, 0
  while looked < limit do
    local member = redis.call('ZRANGE', key.blocked_by, name and '(' .. name .. '\1' or '-', '+', 'BYLEX', 'LIMIT', '0', '1')[1]
    if not member then
      queue.unset_meta('tended')
      break
    end
    name = string.match(member, '^[^%z]*')
    looked = looked + 1
    if string.sub(name, 1, 1) == 'p' then
      local word = string.sub(name, 2)
      if not queue.is_paused_word(word) then
        queue.expect_back(word)
      end
    else
      local gate = queue.gate(name)
      if budget > 0 and not gate.is_order and queue.room_in(gate) == 0 then
        budget = budget - drop_stale(gate, budget)
      end
      gates[#gates + 1] = gate
    end
  end
  if looked == limit then
    queue.set_meta('tended', name)
  end
  queue.admit(gates)
end
