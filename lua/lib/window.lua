-- A rate, and what has started of it lately (started.lua): what may start now. The rule stands in src/policy/limits.rs, with the
-- reason why no window has more starts than are allowed; this is the same rule.
-- needs: whole, started

-- The window of a rate, `<starts>/<period, ms>/<spread>`, and its log as it is stored; nil if that is no rate.
function queue.window_of(rate, stored)
  local MARGIN_PART, MARGIN_MAX_MS, GRAIN_PART, CATCH_UP_PART = 50, 100, 48, 32
  local starts, period, spread = string.match(rate or '', '^(%d+)/(%d+)/(%l+)$')
  local most, period_ms = queue.number(starts), queue.number(period)
  if most == 0 or period_ms == 0 or not (spread == 'burst' or spread == 'smooth') then
    return nil
  end
  local window_ms = period_ms + math.min(MARGIN_MAX_MS, math.ceil(period_ms / MARGIN_PART))
  local grain_ms = period_ms / GRAIN_PART
  local window = { most = most, window_ms = window_ms, grain_ms = grain_ms, gap_ms = 0, log = {}, logged = 0, started = 0 }
  local next_ms = queue.read_started(window, stored)
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

-- When the next unit may start, behind those that this call has started.
local function next_ms(window)
  return window.next_ms + window.started * window.gap_ms
end

-- How many units may start now.
function queue.free_in(window)
  local left = math.max(0, window.most - window.logged - window.started)
  if not window.next_ms then
    return left
  end
  local behind_ms = now_ms - next_ms(window)
  return behind_ms < 0 and 0 or math.min(left, math.floor(behind_ms / window.gap_ms) + 1)
end

-- When so many units may start together: now, or earlier, if they may.
function queue.opens_in(window, weight)
  local units = math.min(weight, window.most)
  local over = window.logged + window.started + units - window.most
  local at_ms = window.next_ms and math.ceil(next_ms(window)) or 0
  for _, entry in ipairs(window.log) do
    if over <= 0 then
      return at_ms
    end
    over = over - entry.units
    at_ms = math.max(at_ms, entry.last_ms + window.window_ms)
  end
  return over > 0 and math.max(at_ms, now_ms + window.window_ms) or at_ms
end

-- From when on the window says nothing any more; 0 if it says nothing now.
function queue.over_at(window)
  local last = window.log[#window.log]
  local at_ms = math.max(last and last.last_ms + window.window_ms or 0, math.ceil(window.next_ms or 0))
  return at_ms > now_ms and at_ms or 0
end

-- What is to be stored of it: what this call has started, and what counts as of now because the clock was set back; nil if neither.
function queue.text_of_window(window)
  if window.started == 0 and not window.is_set_back then
    return nil
  end
  local next_text = window.next_ms and string.format('%.3f', next_ms(window)) or '0'
  window.next_ms = window.next_ms and tonumber(next_text)
  if window.started > 0 then
    queue.note_starts(window, now_ms, now_ms, window.started)
  end
  window.started, window.is_set_back = 0, false
  return queue.started_text(window, next_text)
end
