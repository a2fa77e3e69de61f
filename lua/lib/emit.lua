-- Lifecycle events: one stream entry per script call, a field per kind, ids joined by spaces.
-- A detail follows its id after a colon, which no id may contain.
-- The cap counts ids, not entries: entries of 500 ids would otherwise grow the stream
-- 500 times as large as entries of one. The entries that fit are estimated from a running
-- average of their size, so that a single large one does not throw away the small ones.
-- If no events are kept, the number still grows: when events are kept again, a reader sees that it has missed some.
-- The second part of an entry's id is a running number (meta.event): a reader sees by it alone
-- whether an entry lies between two that it has read. It is stored with the rest of meta, so it costs no
-- command.
-- needs: meta, settings, whole
local event_fields = {}
local event_ids = 0

-- Returns the ids as they are in the event.
function queue.emit(kind, ids)
  local n = #ids
  if n == 0 then
    return ''
  end
  local joined, at = table.concat(ids, ' '), #event_fields
  event_fields[at + 1], event_fields[at + 2] = kind, joined
  event_ids = event_ids + n
  return joined
end

function queue.flush_events()
  if event_ids == 0 then
    return
  end
  local ids_kept = queue.setting('keep_events')
  if ids_kept == 0 then
    queue.set_meta('event', queue.whole(queue.number(meta.event) + 1))
    return
  end
  local ENTRIES_KEPT_AT_LEAST, AVERAGE_OVER = 100, 100
  local average = math.max(1, queue.number(meta.event_size or event_ids))
  if not meta.event_size or math.abs(event_ids - average) > average / 16 then
    average = average + (event_ids - average) / AVERAGE_OVER
    queue.set_meta('event_size', string.format('%.3f', average))
  end
  local entries = math.max(ENTRIES_KEPT_AT_LEAST, math.floor(ids_kept / average))
  local number = queue.number(meta.event) + 1
  local id = redis.pcall('XADD', key.events, 'MAXLEN', '~', queue.whole(entries),
    now_text .. '-' .. queue.whole(number), unpack(event_fields))
  if type(id) == 'table' then
    -- The clock went back, or the number is lost: count on from the last entry, under its time.
    local info, last_ms = redis.pcall('XINFO', 'STREAM', key.events), nil
    if info.err then
      -- Another program put another type there. What the call did is done, and must be kept.
      return
    end
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then
        last_ms = string.match(info[i + 1], '^%d+')
      end
    end
    -- Another program may have written the largest possible number under that time.
    for _, behind in ipairs({ last_ms .. '-*', '*' }) do
      id = redis.pcall('XADD', key.events, 'MAXLEN', '~', queue.whole(entries), behind,
        unpack(event_fields))
      if type(id) == 'string' then
        number = queue.number(string.match(id, '-(%d+)$'))
        break
      end
    end
  end
  queue.set_meta('event', queue.whole(number))
end
