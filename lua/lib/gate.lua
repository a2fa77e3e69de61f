-- Gates: what holds jobs back that would otherwise run. A gate is a group, whose jobs take turns with the jobs of other
-- groups, or an order key, whose jobs run one after the other. A job says in its head which gate it has (head.lua).
--
-- What a gate holds back is `blocked` (id, and when it is due; 0 for now), and in `blocked_by`: the name of the gate, a 0 byte,
-- the place as digits, and the id, all with the score 0, so that the jobs of a gate stand together, the next one first.
--
-- `gates` has the state of each gate that is in use: `<active> <turn> <place>`, and ` halted` behind it, if it is.
--   active  how many jobs of a group run
--   turn    of a group: the job that stands in line for it, so that a group has one job in line, however many it has. When
--           that job is claimed, the next comes to the back of the line. Of an order: the job that all others wait for, in
--           line, delayed, active or, of a halted key, dead. `-` for none.
--   place   the place of the turn
-- and, under `<gate> set`, what is set for this group: `<name>=<number> ..` (gate_settings.lua).
--
-- A turn is only a hint for a group: a job that is in line without it (given back, say) is claimed like any other. For an
-- order it is the rule. If the job of a turn is gone, because another program deleted it, the next job takes the turn.
-- needs: meta, whole, lists, head, digits
-- rarely: places, order, enter, emit, settings, unset, optional, arm, claim

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
local function gate_named(name)
  local gate = known[name]
  if not gate then
    local text, set = unpack(redis.call('HMGET', key.gates, name, name .. ' set'))
    local active, turn, place, halted = string.match(text or '', '^(%d+) (%S+) (%-?%d+) ?(%l*)$')
    gate = {
      name = name, is_order = string.sub(name, 1, 1) == ORDER, set = set or '',
      active = queue.number(active), turn = turn ~= '-' and turn or nil, place = tonumber(place) or 0,
      halted = halted == 'halted',
    }
    known[name] = gate
  end
  return gate
end

local function save(gate)
  if gate.active == 0 and not gate.turn then
    redis.call('HDEL', key.gates, gate.name)
  else
    redis.call('HSET', key.gates, gate.name, queue.whole(gate.active) .. ' ' .. (gate.turn or '-') .. ' '
      .. queue.whole(gate.turn and gate.place or 0) .. (gate.halted and ' halted' or ''))
  end
end

local function set_for(gate, name)
  return tonumber(string.match(' ' .. gate.set .. ' ', ' ' .. name .. '=(%d+) '))
end

-- How many more jobs of a group may start now.
local function room_in(gate)
  if set_for(gate, 'paused') then
    return 0
  end
  local limit = set_for(gate, 'concurrency') or queue.setting('group_concurrency')
  return limit > 0 and math.max(0, limit - gate.active) or math.huge
end

-- Gives the turn to a job, or to none.
local function set_turn(gate, id, place)
  -- A job that gets the turn is in line when this call ends.
  gate.turn, gate.place, gate.is_sure = id, place or 0, id ~= nil
end

-- Whether the job of the turn is still there.
local function has_turn(gate)
  if not gate.turn or gate.is_sure then
    return gate.turn ~= nil
  end
  if gate.is_order then
    return redis.call('HEXISTS', key.jobs, gate.turn) == 1
  end
  return (redis.call('ZSCORE', key.waiting, gate.turn) or redis.call('ZSCORE', key.suspects, gate.turn)) and true
end

-- A job's member of `blocked_by`. The jobs of an order stand in the order in which they were enqueued, whatever their
-- priority: by the sequence in their records.
local function member_of(gate, id, record, place)
  local PRIORITY_STEP = 2 ^ 43
  if gate.is_order then
    place = (tonumber(queue.place_in(record) or place) + PRIORITY_STEP / 2) % PRIORITY_STEP - PRIORITY_STEP / 2
  end
  return gate.name .. '\0' .. queue.digits_of(place) .. id
end

-- Jobs that are held back: a list of { gate, id, record, place, due_ms }.
local function hold(jobs)
  if #jobs == 0 then
    return
  end
  local moments, members, ids = {}, {}, {}
  for i, job in ipairs(jobs) do
    local due_ms = job.due_ms and job.due_ms > now_ms and job.due_ms or 0
    queue.append(moments, queue.whole(due_ms), job.id)
    queue.append(members, '0', member_of(job.gate, job.id, job.record, job.place))
    ids[i] = job.id
  end
  redis.call('ZADD', key.blocked, unpack(moments))
  redis.call('ZADD', key.blocked_by, unpack(members))
  queue.emit('blocked', ids)
  if not meta.blocked then
    queue.set_meta('blocked', '1')
  end
end

-- Nothing is blocked any more: calls need not look for it.
local function look_for_blocked()
  if meta.blocked and redis.call('EXISTS', key.blocked) == 0 then
    queue.unset_meta('blocked')
  end
end

-- The next `limit` jobs that a gate holds back: their ids, members, and when they are due. Members that belong to no blocked
-- job are dropped: another program deleted what they belong to.
local function next_blocked(gate, limit)
  local PAGES, DIGITS = 4, 16
  local id_at = #gate.name + 1 + DIGITS + 1
  for _ = 1, PAGES do
    local members = redis.call('ZRANGE', key.blocked_by, '[' .. gate.name .. '\0', '(' .. gate.name .. '\1',
      'BYLEX', 'LIMIT', '0', queue.whole(limit))
    if #members == 0 then
      break
    end
    local ids = {}
    for i = 1, #members do
      ids[i] = string.sub(members[i], id_at)
    end
    local due = redis.call('ZMSCORE', key.blocked, unpack(ids))
    local there, of_those, due_ms, stale = {}, {}, {}, {}
    for i = 1, #ids do
      if due[i] then
        local at = #there + 1
        there[at], of_those[at], due_ms[at] = ids[i], members[i], tonumber(due[i])
      else
        stale[#stale + 1] = members[i]
      end
    end
    if #stale > 0 then
      redis.call('ZREM', key.blocked_by, unpack(stale))
    end
    if #there > 0 then
      return there, of_those, due_ms
    end
  end
  return {}, {}, {}
end

local function take_blocked(ids, members)
  redis.call('ZREM', key.blocked, unpack(ids))
  redis.call('ZREM', key.blocked_by, unpack(members))
end

-- The next job of each of these gates comes to the back of the line, if the gate is free for it. The gates are saved.
local function admit(gates)
  local ids, options, of_id = {}, {}, {}
  for _, gate in ipairs(gates) do
    local is_free = not gate.turn and (gate.is_order or room_in(gate) > 0)
    local next_ids, members, due = {}, {}, {}
    if is_free and meta.blocked then
      next_ids, members, due = next_blocked(gate, 1)
    end
    local id = next_ids[1]
    if id then
      take_blocked(next_ids, members)
      local priority = queue.priority_at(queue.places_of(next_ids)[1])
      set_turn(gate, id)
      if due[1] > now_ms then
        queue.enter_delayed(next_ids, { { due_ms = due[1], priority = priority } })
        queue.emit('delayed', { id .. ':' .. queue.whole(due[1]) })
      else
        ids[#ids + 1], options[id], of_id[id] = id, { priority = priority }, gate
      end
    end
  end
  if #ids > 0 then
    local places = queue.take_places(ids, options)
    for i = 1, #ids do
      of_id[ids[i]].place = tonumber(places[i])
    end
    queue.enter_at(ids, places)
    queue.emit('waiting', ids)
    if not meta.paused then
      queue.arm(0)
    end
  end
  for _, gate in ipairs(gates) do
    save(gate)
  end
  look_for_blocked()
end

-- Jobs are about to get in line, at these places; due_ms[id]: when a job is due that is to be delayed instead. Those that
-- their gates hold back are stored as blocked. Returns the set of their ids.
function queue.enter_gates(ids, records, places, due_ms)
  local held, held_ids, changed, touched = {}, {}, {}, {}
  for i = 1, #ids do
    local id, name = ids[i], records[i] and queue.gate_of(records[i])
    if name then
      local gate, place = gate_named(name), tonumber(places[i]) or 0
      local passes
      if gate.is_order then
        passes = gate.turn == id or not has_turn(gate)
      else
        -- A more urgent job does not wait for the turn of a less urgent one.
        passes = room_in(gate) > 0
          and (not has_turn(gate) or queue.priority_at(place) < queue.priority_at(gate.place))
      end
      if passes then
        set_turn(gate, id, place)
        gate.halted = false
        if not touched[name] then
          touched[name], changed[#changed + 1] = true, gate
        end
      else
        held[#held + 1] = {
          gate = gate, id = id, record = records[i], place = places[i], due_ms = due_ms and due_ms[id],
        }
        held_ids[id] = true
      end
    end
  end
  for _, gate in ipairs(changed) do
    save(gate)
  end
  hold(held)
  return held_ids
end

-- Jobs were taken out of the line, to be claimed. Returns the set of those that their gates hold back, which are stored as
-- blocked, and the groups of which a job starts, or whose job of the turn is held back. The caller then calls `admit_next`.
function queue.pass_gates(ids, records)
  local held, held_ids, groups, touched, orders = {}, {}, {}, {}, {}
  for i = 1, #ids do
    local id, name = ids[i], queue.gate_of(records[i])
    if name then
      local gate, passes = gate_named(name), nil
      if gate.is_order then
        passes = gate.turn == id or not has_turn(gate)
        if passes and gate.turn ~= id then
          set_turn(gate, id, gate.place)
          orders[#orders + 1] = gate
        end
      else
        passes = room_in(gate) > 0
        gate.active = gate.active + (passes and 1 or 0)
        if gate.turn == id then
          set_turn(gate, nil, gate.place)
        end
        if not touched[name] then
          touched[name], groups[#groups + 1] = true, gate
        end
      end
      if not passes then
        held[#held + 1] = { gate = gate, id = id, record = records[i] }
        held_ids[id] = true
      end
    end
  end
  if #held > 0 then
    local waiting = {}
    for i = 1, #held do
      waiting[i] = held[i].id
    end
    local places = queue.places_of(waiting)
    for i = 1, #held do
      held[i].place = places[i]
    end
    hold(held)
  end
  for _, gate in ipairs(orders) do
    save(gate)
  end
  return held_ids, groups
end

-- Takes up to `limit` jobs of at most `max_bytes` of those that a group holds back, as if each had stood in line. Jobs whose worker
-- died on them are left: they run only as suspects (suspects.lua). Returns what `fitting` returns of them (claim.lua), and
-- whether there may be more.
function queue.take_from_group(gate, limit, max_bytes)
  local wanted = math.min(limit, room_in(gate))
  local ids, members = {}, {}
  if wanted > 0 and meta.blocked then
    ids, members = next_blocked(gate, wanted)
  end
  if #ids == 0 then
    return {}, {}, {}, 0, 0, false
  end
  local stalls = queue.has(key.stalls) and redis.call('HMGET', key.stalls, unpack(ids)) or {}
  local harmless = #ids
  for i = #ids, 1, -1 do
    harmless = stalls[i] and i - 1 or harmless
  end
  ids = { unpack(ids, 1, harmless) }
  if harmless == 0 then
    return {}, {}, {}, 0, 0, false
  end
  local records = redis.call('HMGET', key.jobs, unpack(ids))
  local taken, taken_records, external, seen, bytes = queue.fitting(ids, records, max_bytes, 'must fit')
  if seen > 0 then
    take_blocked({ unpack(ids, 1, seen) }, { unpack(members, 1, seen) })
    gate.active = gate.active + #taken
  end
  return taken, taken_records, external, seen, bytes, seen == wanted
end

-- To be called with the groups that pass_gates has returned, when nothing more is claimed.
function queue.admit_next(groups)
  admit(groups)
end

-- Jobs leave what they were: a list of { id, record, from, to }. `from`: the list in which a job was ('active', 'waiting', ..; 'blocked'
-- jobs have left theirs already), `to`: where it goes ('waiting', 'delayed', 'dead', 'removed', 'ended' for all else). What waits for
-- them may go on.
function queue.leave_gates(jobs)
  local gates, touched, halted = {}, {}, {}
  for _, job in ipairs(jobs) do
    local name = job.record and queue.gate_of(job.record)
    if name then
      local gate = gate_named(name)
      if gate.is_order and gate.turn == job.id then
        local on_failure = queue.field_of(job.record, 'on_failure')
        gate.halted = job.to == 'dead' and on_failure == 'halt'
        if gate.halted then
          halted[#halted + 1] = job.id
        elseif job.to ~= 'waiting' and (job.to ~= 'delayed' or on_failure == 'pass') then
          set_turn(gate, nil, gate.place)
        end
      elseif not gate.is_order then
        if job.from == 'active' then
          gate.active = math.max(0, gate.active - 1)
        end
        if gate.turn == job.id then
          set_turn(gate, nil, gate.place)
        end
      end
      if not touched[name] then
        touched[name], gates[#gates + 1] = true, gate
      end
    end
  end
  queue.emit('halted', halted)
  if #gates > 0 then
    admit(gates)
  end
end

-- Takes a job out of `blocked`. The caller then puts it somewhere else, or ends it, and calls leave_gates.
function queue.leave_blocked(id, record)
  redis.call('ZREM', key.blocked, id)
  local name = record and queue.gate_of(record)
  if name then
    local gate = gate_named(name)
    redis.call('ZREM', key.blocked_by, member_of(gate, id, record, queue.places_of({ id })[1]))
  end
  look_for_blocked()
end

-- The gate of this group.
function queue.group_named(group)
  return GROUP .. group
end

-- What is set for a gate has changed: its next job may get in line.
function queue.reopen(name, set)
  local gate = gate_named(name)
  gate.set = set
  admit({ gate })
end

-- How many jobs of a gate run, whether one has the turn, and how many are blocked.
function queue.counts_of_gate(name)
  local gate = gate_named(name)
  local blocked = redis.call('ZLEXCOUNT', key.blocked_by, '[' .. gate.name .. '\0', '(' .. gate.name .. '\1')
  return gate.active, has_turn(gate), blocked
end

-- A delayed job of a group is due at this moment: calls that promote until then look for the groups of what they promote.
function queue.expect_group(due_ms)
  if due_ms > queue.number(meta.gated) then
    queue.set_meta('gated', queue.whole(due_ms))
  end
end

-- Everything that is due until now was promoted.
function queue.expect_no_group()
  if meta.gated and queue.number(meta.gated) < now_ms then
    queue.unset_meta('gated')
  end
end
