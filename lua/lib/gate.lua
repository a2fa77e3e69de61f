-- Gates: what holds jobs back that would otherwise run. A gate is a group, whose jobs take turns with the jobs of other
-- groups, or an order key, whose jobs run one after the other. A job says in its head which gate it has (head.lua).
--
-- What a gate holds back is `blocked` (id, and when it is due; 0 for now), and in `blocked_by`: the name of the gate, a 0 byte,
-- the place as digits, and the id, all with the score 0, so that the jobs of a gate stand together, the next one first.
--
-- `gates` has the state of each gate of which a job has the turn: `<turn> <place>`, and ` halted` behind it, if it is.
--   turn    of a group: the job that stands in line for it, so that a group has one job in line, however many it has. When
--           that job is claimed, the next comes to the back of the line. A suspect (suspects.lua) waits apart from the line,
--           maybe for long, and never has the turn of a group. Of an order: the job that all others wait for, in
--           line, delayed, active or, of a halted key, dead.
--   place   the place of the turn
-- and, under `<gate> set`, what is set for this group: `<name>=<number> ..` (gate_settings.lua).
--
-- A turn is only a hint for a group: a job that is in line without it (given back, say) is claimed like any other. For an
-- order it is the rule. If the job of a turn is gone, because another program deleted it, the next job takes the turn.
-- Which jobs run is in `running` (running.lua).
-- needs: whole, head, digits
-- rarely: places, settings, running

local GROUP, ORDER = 'g', 'o'
local known = {}

-- The name of a job's gate; nil if it has none.
function queue.gate_of(record)
  if not queue.has_traits(record) then
    return nil
  end
  local group = queue.field_of(record, 'group')
  if group then
    return GROUP .. group
  end
  local order = queue.field_of(record, 'order')
  return order and ORDER .. order
end

-- The gate of this name, as it is now in this call. The function that changes it saves it.
function queue.gate(name)
  local gate = known[name]
  if not gate then
    local text, set = unpack(redis.call('HMGET', key.gates, name, name .. ' set'))
    local turn, place, halted = string.match(text or '', '^(%S+) (%-?%d+) ?(%l*)$')
    gate = {
      name = name, is_order = string.sub(name, 1, 1) == ORDER, set = set or '',
      turn = turn, place = tonumber(place) or 0, halted = halted == 'halted',
    }
    if gate.is_order and not turn then
      -- If the turn was lost, a job that runs has it.
      gate.turn = queue.running_of(gate, 1)[1]
    end
    known[name] = gate
  end
  return gate
end

function queue.save_gate(gate)
  if gate.turn then
    redis.call('HSET', key.gates, gate.name,
      gate.turn .. ' ' .. queue.whole(gate.place) .. (gate.halted and ' halted' or ''))
  else
    redis.call('HDEL', key.gates, gate.name)
  end
end

local function set_for(gate, name)
  return tonumber(string.match(' ' .. gate.set .. ' ', ' ' .. name .. '=(%d+) '))
end

-- How many more jobs of a group may start now.
function queue.room_in(gate)
  if set_for(gate, 'paused') then
    return 0
  end
  local limit = set_for(gate, 'concurrency') or queue.setting('group_concurrency')
  return limit > 0 and math.max(0, limit - queue.active_in(gate)) or math.huge
end

-- Gives the turn to a job, or to none.
function queue.set_turn(gate, id, place)
  -- A job that gets the turn is in line when this call ends.
  gate.turn, gate.place, gate.is_sure = id, place or 0, id ~= nil
end

-- Whether the job of the turn is still there.
function queue.has_turn(gate)
  if not gate.turn or gate.is_sure then
    return gate.turn ~= nil
  end
  if gate.is_order then
    return redis.call('HEXISTS', key.jobs, gate.turn) == 1
  end
  return redis.call('ZSCORE', key.waiting, gate.turn) and true
end

-- A job's member of `blocked_by`. The jobs of an order stand in the order in which they were enqueued, whatever their
-- priority: by the sequence in their records.
function queue.member_of(gate, id, record, place)
  local STEP = 2 ^ 43
  if gate.is_order then
    place = (tonumber(queue.place_in(record) or place) + STEP / 2) % STEP - STEP / 2
  end
  return gate.name .. '\0' .. queue.digits_of(place) .. id
end
