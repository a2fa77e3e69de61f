-- The queue's own numbers: read together, written together at the end of the call. What is not
-- there is false.
-- shares: meta, meta_changes
local fields = redis.call('HMGET', key.meta, 'paused', 'sequence', 'front', 'fence', 'event_size',
  'timer', 'added', 'completed', 'tick', 'event', 'unhandled', 'due', 'settings')
local meta = {
  paused = fields[1], sequence = fields[2], front = fields[3], fence = fields[4],
  event_size = fields[5], timer = fields[6], added = fields[7], completed = fields[8],
  tick = fields[9], event = fields[10], unhandled = fields[11], due = fields[12],
  settings = fields[13],
}
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
