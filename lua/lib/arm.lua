-- The earliest moment for which this call has armed it.
local armed_ms

-- The wake-up token: at most one member, its score the moment (ms) at which there will be
-- work, 0 for now. Idle workers block on popping it. An earlier moment replaces a later one.
function queue.arm(at_ms)
  if armed_ms and armed_ms <= at_ms then
    return
  end
  armed_ms = at_ms
  redis.call('ZADD', key.wake, 'LT', at_ms, 'work')
end
