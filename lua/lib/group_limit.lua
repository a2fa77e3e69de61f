-- How many jobs of a group (gate.lua) may run: what is set for the group, or for all groups of the queue.
-- rarely: settings, running

local function set_for(gate, name)
  return tonumber(string.match(' ' .. gate.set .. ' ', ' ' .. name .. '=(%d+) '))
end

-- How many jobs of a group may run at a time.
local function limit_of(gate)
  if set_for(gate, 'paused') then
    return 0
  end
  local limit = set_for(gate, 'concurrency') or queue.setting('group_concurrency')
  return limit > 0 and limit or math.huge
end

-- How many more jobs of a group may start now.
function queue.room_in(gate)
  gate.limit = gate.limit or limit_of(gate)
  local is_counted = gate.limit > 0 and gate.limit < math.huge
  return is_counted and math.max(0, gate.limit - queue.active_in(gate)) or gate.limit
end
