-- Keeps meta.tick (tick.lua) equal to the earliest tick in `ticks`.
-- needs: meta, whole
-- rarely: arm

-- For how long ticks that no worker can read are passed over, at most.
local LOOK_AGAIN_MS = 20000

-- The first tick behind this bound, or nil.
local function first_tick(after)
  local _, tick_ms = unpack(redis.call('ZRANGEBYSCORE', key.ticks, after, '(+inf', 'WITHSCORES', 'LIMIT', 0, 1))
  -- Never below 0, whatever another program has written there.
  return tick_ms and math.max(0, math.floor(tonumber(tick_ms)))
end

local function known_tick()
  return tonumber(string.match(meta.tick or '', '^%d+'))
end

-- Brings meta.tick up to date with `ticks`; its holder stays only if it is the same moment.
-- Returns it if it has changed. With passed_ms, schedules that are due until then are passed over: no worker that
-- looked could read them. Some worker looks again before long, and the other schedules go on.
function queue.refresh_tick(passed_ms)
  local next_ms = first_tick('-inf')
  if next_ms and passed_ms and next_ms <= passed_ms then
    local others_ms = first_tick('(' .. queue.whole(passed_ms))
    next_ms = math.min(others_ms or math.huge, passed_ms + LOOK_AGAIN_MS)
  end
  if not next_ms then
    if meta.tick then
      redis.call('HDEL', key.meta, 'tick')
      meta.tick = false
    end
  elseif known_tick() ~= next_ms then
    queue.set_meta('tick', queue.whole(next_ms))
    return next_ms
  end
  return nil
end

-- The same, by a caller that is no worker: an idle worker is to see to it.
function queue.offer_tick()
  local changed_ms = queue.refresh_tick()
  if changed_ms then
    queue.arm(changed_ms)
  end
end

-- Mends a meta.tick that is lost, or later than any call can have set it: no worker would come for the
-- ticks any more. Returns whether it was so.
function queue.mend_tick()
  local first_ms, known_ms = first_tick('-inf'), known_tick()
  if not first_ms or known_ms and known_ms <= math.max(first_ms, now_ms + LOOK_AGAIN_MS) then
    return false
  end
  queue.offer_tick()
  return true
end
