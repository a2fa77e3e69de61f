-- The rate that is set for the queue, and what has started of it lately (rate.lua).
-- needs: meta, whole, started

-- What may start now by the rate that is set: a map; false if there is none.
function queue.read_window()
  local MARGIN_PART, MARGIN_MAX_MS, GRAIN_PART, CATCH_UP_PART = 50, 100, 48, 32
  local starts, period, spread =
    string.match(meta.settings or '', '^1 %d+.- limit_rate=(%d+)/(%d+)/(%l+)')
  local most, period_ms = queue.number(starts), queue.number(period)
  if most == 0 or period_ms == 0 or not (spread == 'burst' or spread == 'smooth') then
    return false
  end
  local window_ms = period_ms + math.min(MARGIN_MAX_MS, math.ceil(period_ms / MARGIN_PART))
  local grain_ms = period_ms / GRAIN_PART
  local window = { most = most, window_ms = window_ms, grain_ms = grain_ms, gap_ms = 0, log = {}, logged = 0, started = 0 }
  local next_ms = queue.read_started(window)
  if spread == 'smooth' then
    window.gap_ms = (window_ms + grain_ms) / most
    -- A moment that lies further ahead was stored before the clock was set back.
    local latest_ms = now_ms + window_ms + grain_ms
    window.is_set_back = window.is_set_back or next_ms > latest_ms
    next_ms = math.min(next_ms, latest_ms)
    window.next_ms = math.max(next_ms, now_ms - period_ms / CATCH_UP_PART)
  end
  return window
end
