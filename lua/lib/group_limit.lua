-- How many jobs of a group (gate.lua) may start now: by what is set for the group, or for all groups of the queue.
-- needs: meta
-- rarely: settings, running, group_pace

-- What is set for this group, as text.
local function set_for(gate, name)
  return string.match(' ' .. gate.set .. ' ', ' ' .. name .. '=(%S+) ')
end

-- How many jobs of a group may run at a time.
local function limit_of(gate)
  if set_for(gate, 'paused') then
    return 0
  end
  local limit = tonumber(set_for(gate, 'concurrency')) or queue.setting('group_concurrency')
  return limit > 0 and limit or math.huge
end

-- The rate of a group, as text; nil if it has none.
function queue.rate_of(gate)
  return set_for(gate, 'rate') or meta.settings and string.match(meta.settings, '^1 %d+.- group_rate=(%S+)')
end

-- How many more jobs of a group may start now.
function queue.room_in(gate)
  if not gate.limit then
    gate.limit, gate.is_paced = limit_of(gate), gate.stored_pace or queue.rate_of(gate)
  end
  local is_counted = gate.limit > 0 and gate.limit < math.huge
  local room = is_counted and math.max(0, gate.limit - queue.active_in(gate)) or gate.limit
  return room > 0 and gate.is_paced and math.min(room, queue.free_of_group(gate)) or room
end

-- So many jobs of a group start, for which there is room.
function queue.start_in(gate, jobs)
  gate.active = gate.active and gate.active + jobs
  if gate.is_paced then
    queue.pace_starts(gate, jobs)
  end
end
