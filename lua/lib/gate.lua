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
-- and, under `<gate> set`, what is set for this group: `<name>=<text> ..` (group_limit.lua); and `<gate> pace` (group_pace.lua).
--
-- A turn is only a hint for a group: a job that is in line without it (given back, say) is claimed like any other. For an
-- order it is the rule. If the job of a turn is gone, because another program deleted it, the next job takes the turn.
-- Which jobs run is in `running` (running.lua); how many may, in group_limit.lua.
-- needs: meta, whole, head
-- rarely: running

local GROUP, ORDER = 'g', 'o'
local known = {}

-- The name of a job's gate; nil if it has none.
function queue.gate_of(record)
  if not queue.has_traits(record) then
    return nil
  end
  local group, order = queue.field_of(record, 'group'), nil
  if not group then
    order = queue.field_of(record, 'order')
  end
  return group and GROUP .. group or order and ORDER .. order
end

-- What is read of a gate. Of its pace (group_pace.lua) nothing is stored unless meta.paced says so.
local function add_fields(fields, name)
  fields[#fields + 1], fields[#fields + 2] = name, name .. ' set'
  if meta.paced then
    fields[#fields + 1] = name .. ' pace'
  end
end

local function note(name, text, set, pace)
  local turn, place, halted = string.match(text or '', '^(%S+) (%-?%d+) ?(%l*)$')
  local gate = {
    name = name, is_order = string.sub(name, 1, 1) == ORDER, set = set or '',
    turn = turn, place = tonumber(place) or 0, halted = halted == 'halted', stored_pace = pace,
  }
  if gate.is_order and not turn then
    -- If the turn was lost, a job that runs has it.
    gate.turn = queue.running_of(gate, 1)[1]
  end
  gate.is_changed = gate.turn ~= turn or text and not turn
  known[name] = gate
  return gate
end

-- The gate of this name, as it is now in this call. The function that changes it saves it.
function queue.gate(name)
  if not known[name] then
    local fields = {}
    add_fields(fields, name)
    note(name, unpack(redis.call('HMGET', key.gates, unpack(fields))))
  end
  return known[name]
end

-- The gates of these names, false where there is none. Those that this call does not know yet are read together.
function queue.gates_named(gates)
  local names, fields = {}, {}
  for _, name in ipairs(gates) do
    if name and known[name] == nil then
      known[name] = false
      names[#names + 1] = name
      add_fields(fields, name)
    end
  end
  local stored, each = #names > 0 and redis.call('HMGET', key.gates, unpack(fields)), #fields / #names
  for i, name in ipairs(names) do
    note(name, unpack(stored, (i - 1) * each + 1, i * each))
  end
  for i, name in ipairs(gates) do
    gates[i] = name and known[name]
  end
  return gates
end

-- The gates of the first `n` of these records, by position; false for a job that has none, or no record.
function queue.gates_of(records, n)
  local names = {}
  for i = 1, n do
    names[i] = records[i] and queue.gate_of(records[i]) or false
  end
  return queue.gates_named(names)
end

function queue.save_gates(gates)
  local kept, gone = {}, {}
  for _, gate in ipairs(gates) do
    if gate.is_changed and gate.turn then
      local at = #kept
      kept[at + 1] = gate.name
      kept[at + 2] = gate.turn .. ' ' .. queue.whole(gate.place) .. (gate.halted and ' halted' or '')
    elseif gate.is_changed then
      gone[#gone + 1] = gate.name
    end
    gate.is_changed = false
  end
  if #kept > 0 then
    redis.call('HSET', key.gates, unpack(kept))
  end
  if #gone > 0 then
    redis.call('HDEL', key.gates, unpack(gone))
  end
end
