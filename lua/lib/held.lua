-- Functions for leases that hold, needed by few calls.
-- needs: whole

-- Sets the deadlines of leases that were checked to hold.
function queue.renew(ids, lease_ms)
  if #ids > 0 then
    local deadlines, deadline = {}, queue.whole(now_ms + lease_ms)
    for i = 1, #ids do
      deadlines[2 * i - 1], deadlines[2 * i] = deadline, ids[i]
    end
    redis.call('ZADD', key.active, unpack(deadlines))
  end
end

-- When the attempt with this claim began.
function queue.claimed_since(claim)
  return tonumber(string.match(claim, '^%d+ (%d+) ')) or now_ms
end
