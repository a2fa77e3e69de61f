-- dead: list of { id, reason }. Dead letters are dropped only if that is set for the queue (cap_dead.lua).
-- needs: finish, stamp, count, emit
function queue.bury(dead)
  local n = #dead
  if n == 0 then
    return
  end
  local ids, members, results, tokens = {}, {}, {}, {}
  for i = 1, n do
    ids[i] = dead[i].id
    members[2 * i - 1] = now_ms
    members[2 * i] = dead[i].id
    results[2 * i - 1] = dead[i].id
    results[2 * i] = queue.stamp(now_ms) .. cmsgpack.pack({ dead = dead[i].reason })
    tokens[i] = dead[i].id .. ':' .. dead[i].reason
  end
  queue.announce(ids)
  redis.call('ZADD', key.dead, unpack(members))
  redis.call('HSET', key.results, unpack(results))
  queue.count('dead', n)
  queue.emit('dead', tokens)
end
