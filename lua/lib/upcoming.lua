-- Keeps meta.tick (tick.lua) true to `ticks`.

-- Brings meta.tick up to date with `ticks`; its holder stays only if it is the same moment.
-- Returns it if it has changed. With passed_ms, what is due until then is passed over: nobody who
-- looked could do anything about it, so somebody looks again before long, and the rest goes on.
function queue.refresh_tick(passed_ms)
  local LOOK_AGAIN_MS = 20000

  local function first_tick(after)
    local head = redis.call('ZRANGEBYSCORE', key.ticks, after, '(+inf', 'WITHSCORES',
      'LIMIT', 0, 1)
    -- Never below 0, whatever somebody else has written there.
    return head[2] and math.max(0, math.floor(tonumber(head[2])))
  end

  local next_ms = first_tick('-inf')
  if next_ms and passed_ms and next_ms <= passed_ms then
    local others_ms = first_tick('(' .. queue.whole(passed_ms))
    next_ms = math.min(others_ms or math.huge, passed_ms + LOOK_AGAIN_MS)
  end
  local known = meta.tick
  if not next_ms then
    if known then
      redis.call('HDEL', key.meta, 'tick')
      meta.tick = false
    end
  elseif tonumber(string.match(known or '', '^%d+')) ~= next_ms then
    queue.set_meta('tick', queue.whole(next_ms))
    return next_ms
  end
  return nil
end

-- The same, by a caller that is no worker: whoever is idle is to see to it.
function queue.offer_tick()
  local changed_ms = queue.refresh_tick()
  if changed_ms then
    queue.arm(changed_ms)
  end
end
