-- Lifecycle events: one stream entry per script call, a field per kind, ids joined by spaces.
-- A detail follows its id after a colon, which no id may contain.
-- The cap counts ids, not entries: entries of 500 ids would otherwise grow the stream
-- 500 times as large as entries of one. The entries that fit are estimated from a running
-- average of their size, so that a single large one does not throw away the small ones.
local EVENT_IDS_KEPT = 100000
local EVENT_ENTRIES_KEPT_AT_LEAST = 100
local EVENT_AVERAGE_OVER = 100

local event_fields = {}
local event_ids = 0

local function emit(kind, ids)
  if #ids > 0 then
    event_fields[#event_fields + 1] = kind
    event_fields[#event_fields + 1] = table.concat(ids, ' ')
    event_ids = event_ids + #ids
  end
end

-- For an event of the queue itself (paused, drained), or one whose value is a blob.
local function emit_value(kind, value)
  event_fields[#event_fields + 1] = kind
  event_fields[#event_fields + 1] = value
  event_ids = event_ids + 1
end

local function flush_events()
  if event_ids == 0 then
    return
  end
  local average = tonumber(get_meta('event_size') or event_ids)
  average = average + (event_ids - average) / EVENT_AVERAGE_OVER
  set_meta('event_size', string.format('%.3f', average))
  local entries = math.max(EVENT_ENTRIES_KEPT_AT_LEAST, math.floor(EVENT_IDS_KEPT / average))
  redis.call('XADD', key_events, 'MAXLEN', '~', entries, '*', unpack(event_fields))
end
