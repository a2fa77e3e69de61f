-- The log of what has started lately (window.lua), of a queue (meta.started) or a group (group_pace.lua): `<next> <first> <last> <units> ..`.
-- First when the next unit may start (0 unless the rate is smooth), then the log, oldest first: starts that lie close together are one entry.
-- needs: whole

-- Appends starts to the log of a window, or to its last entry if they lie close to it.
function queue.note_starts(window, first_ms, last_ms, units)
  local log = window.log
  local last = log[#log]
  window.logged = window.logged + units
  if last and math.max(0, first_ms - last.first_ms) < window.grain_ms then
    last.last_ms, last.units = math.max(last.last_ms, last_ms), last.units + units
  else
    log[#log + 1] = { first_ms = first_ms, last_ms = last_ms, units = units }
  end
end

-- Reads the log into a window, without what has left the window. Returns when the next unit may start, as it was stored.
function queue.read_started(window, stored)
  for first, last, units in string.gmatch(stored, ' (%d+) (%d+) (%d+)') do
    local last_ms = queue.number(last)
    if last_ms + window.window_ms > now_ms then
      -- What lies ahead was stored before the clock was set back. It counts as of now, and that is stored: else it would
      -- count as of a later moment at each look, until the clock shows the old time again.
      window.is_set_back = window.is_set_back or last_ms > now_ms
      queue.note_starts(window, math.min(queue.number(first), now_ms), math.min(last_ms, now_ms),
        queue.number(units))
    end
  end
  return queue.number(string.match(stored, '^[%d.]+'))
end

function queue.started_text(window, next_ms)
  local words = { next_ms }
  for _, entry in ipairs(window.log) do
    for _, number in ipairs({ entry.first_ms, entry.last_ms, entry.units }) do
      words[#words + 1] = queue.whole(number)
    end
  end
  return table.concat(words, ' ')
end
