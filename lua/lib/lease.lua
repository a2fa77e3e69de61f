-- A claim says who holds a job: `<first fence> <since> <worker>`, the same for all jobs that one
-- call claimed. It is the receipt: a caller that ends or extends an attempt, or reports its progress, has to
-- show it. One call claims a job at most once, so a receipt is as good as a fence of its own.
-- needs: meta, sentinel, whole

-- Leases `ids` under consecutive fences. Returns the first of these, and the receipt. A fence
-- grows even when a replica that lost recent writes is promoted, because time takes part in it.
function queue.lease(ids, worker, lease_ms)
  local n = #ids
  local first = math.max(queue.number(meta.fence) + 1, now_us)
  local receipt = queue.whole(first) .. ' ' .. now_text .. ' ' .. worker
  local deadline = queue.whole(now_ms + lease_ms)
  local deadlines, claims = { '+inf', SENTINEL }, { SENTINEL, '' }
  for i = 1, n do
    local at = 2 * i + 1
    deadlines[at], deadlines[at + 1] = deadline, ids[i]
    claims[at], claims[at + 1] = ids[i], receipt
  end
  redis.call('ZADD', key.active, unpack(deadlines))
  redis.call('HSET', key.claims, unpack(claims))
  queue.set_meta('fence', queue.whole(first + n - 1))
  return first, receipt
end
