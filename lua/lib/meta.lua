-- The queue's own numbers: read together, and written together at the end of the call. A number that is not
-- there is false. meta.limited: there may be limits (limit.lua). meta.far: jobs of this queue have, or had, parents in other
-- queues (children.lua), so a script that ends some may have messages for these.
-- shares: meta, meta_changes
local of_meta = redis.call('HMGET', key.meta, 'paused', 'sequence', 'front', 'fence', 'event_size',
  'timer', 'added', 'completed', 'tick', 'event', 'unhandled', 'due', 'settings', 'blocked', 'gated', 'expiring',
  'paused_names', 'paced', 'far')
local meta = {
  paused = of_meta[1], sequence = of_meta[2], front = of_meta[3], fence = of_meta[4],
  event_size = of_meta[5], timer = of_meta[6], added = of_meta[7], completed = of_meta[8],
  tick = of_meta[9], event = of_meta[10], unhandled = of_meta[11], due = of_meta[12],
  settings = of_meta[13], blocked = of_meta[14], gated = of_meta[15], expiring = of_meta[16],
  paused_names = of_meta[17], paced = of_meta[18], far = of_meta[19],
  limited = of_meta[13] and string.find(of_meta[13], ' limit_', 1, true),
}
if meta.paused then
  -- A hold (hold_queue.lua) that is over is no pause. It is also over when the clock was set back behind its begin: nobody
  -- knows then how much of it is left.
  local until_ms, since_ms = string.match(meta.paused, '^until (%d+) (%d+)$')
  until_ms, since_ms = tonumber(until_ms), tonumber(since_ms)
  local is_over = until_ms and (until_ms <= now_ms or now_ms < since_ms)
  meta.hold_ends_ms, meta.hold_is_over = not is_over and until_ms or nil, is_over
  meta.paused = not is_over and meta.paused
end
local meta_changes = {}

function queue.set_meta(field, value)
  meta[field] = value
  local n = #meta_changes
  meta_changes[n + 1], meta_changes[n + 2] = field, value
end

function queue.save_meta()
  if #meta_changes > 0 then
    redis.call('HSET', key.meta, unpack(meta_changes))
  end
end
