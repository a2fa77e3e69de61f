-- Keeps meta.tick (tick.lua) true to `ticks`.

-- Brings meta.tick up to date with `ticks`; its holder stays only if it is the same moment.
-- Returns it if it has changed.
function queue.refresh_tick()
  local head = redis.call('ZRANGEBYSCORE', key.ticks, '-inf', '(+inf', 'WITHSCORES',
    'LIMIT', 0, 1)
  local next_ms = tonumber(head[2])
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
  queue.save_meta()
end
