-- Keeps meta.tick (tick.lua) true to `ticks`.

-- Brings meta.tick up to date with `ticks`; its holder stays only if it is the same moment.
-- Returns it if it has changed.
local function refresh_tick()
  local head = redis.call('ZRANGEBYSCORE', key_ticks, '-inf', '(+inf', 'WITHSCORES',
    'LIMIT', 0, 1)
  local next_ms = tonumber(head[2])
  local known = get_meta('tick')
  if not next_ms then
    if known then
      redis.call('HDEL', key_meta, 'tick')
      meta.tick = nil
    end
  elseif tonumber(string.match(known or '', '^%d+')) ~= next_ms then
    set_meta('tick', whole(next_ms))
    return next_ms
  end
  return nil
end

-- The same, by a caller that is no worker: whoever is idle is to see to it.
local function offer_tick()
  local changed_ms = refresh_tick()
  if changed_ms then
    arm(changed_ms)
  end
  save_meta()
end
