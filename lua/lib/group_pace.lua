-- How fast jobs of a group (gate.lua) may start: by the rate that is set for the group, or for all groups of the queue, and by a
-- hold, because a handler was told to wait. Each start counts as one, whatever the weight of the job.
--
-- `<gate> pace` in `gates` is `<held until, ms> <log>`, the log as of started.lua, as long as it says anything. `paced` has each gate
-- with such an entry (paces.lua).
-- needs: whole, window, group_limit

-- No hold ends later: one that does was stored before the clock was set back.
local HELD_AT_MOST_MS = 24 * 60 * 60 * 1000

-- The window of the gate's rate, as it is now in this call; false if it has none. gate.held_ms: until when it is held, or 0.
function queue.pace_of(gate)
  if gate.pace == nil then
    local held, log = string.match(gate.stored_pace or '', '^(%d+) (.*)$')
    local held_ms = queue.number(held)
    gate.held_ms = held_ms > now_ms and held_ms <= now_ms + HELD_AT_MOST_MS and held_ms or 0
    gate.pace = queue.window_of(queue.rate_of(gate), log or '') or false
    gate.log = gate.pace and log or '0'
  end
  return gate.pace
end

-- How many jobs of a group may start now.
function queue.free_of_group(gate)
  local window = queue.pace_of(gate)
  if gate.held_ms > 0 then
    return 0
  end
  return window and queue.free_in(window) or math.huge
end

-- Until when a group is held; 0 if it is not.
function queue.held_until(gate)
  queue.pace_of(gate)
  return gate.held_ms
end

-- So many jobs of a group start.
function queue.pace_starts(gate, jobs)
  local window = queue.pace_of(gate)
  if window then
    window.started = window.started + jobs
  end
end
