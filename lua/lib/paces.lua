-- Stores the pace of groups (group_pace.lua). `paced` has each gate of which something is stored, by the moment at which it is to be
-- looked at: more of it may start, or nothing is to be remembered of it any more. meta.paced is the first of these moments, so that a
-- call that reads no other key knows when one has come. Names that were resumed (resumed.lua) are there as well.
-- needs: meta, whole, window, group_pace
-- rarely: unset, gate, admit, resumed

-- When the gate is to be looked at again; 0 if nothing is to be remembered of it.
local function look_at_ms(gate)
  local window = gate.pace
  if queue.free_of_group(gate) > 0 then
    return window and queue.over_at(window) or 0
  end
  return math.max(gate.held_ms, window and queue.opens_in(window, 1) or 0)
end

-- Brings meta.paced up to date.
local function look_for_paced()
  local _, first = unpack(redis.call('ZRANGE', key.paced, '0', '0', 'WITHSCORES'))
  local first_ms = first and queue.whole(math.max(0, math.ceil(tonumber(first))))
  if first_ms and meta.paced ~= first_ms then
    queue.set_meta('paced', first_ms)
  elseif not first_ms and meta.paced then
    queue.unset_meta('paced')
  end
end

-- Stores what has started of these groups, and until when they are held.
function queue.save_paces(gates)
  local kept, moments, gone, fields = {}, {}, {}, {}
  for _, gate in ipairs(gates) do
    local window = queue.pace_of(gate)
    gate.log = window and queue.text_of_window(window) or gate.log
    local at_ms = look_at_ms(gate)
    if at_ms > 0 then
      kept[#kept + 1], kept[#kept + 2] = gate.name .. ' pace', queue.whole(gate.held_ms) .. ' ' .. gate.log
      moments[#moments + 1], moments[#moments + 2] = queue.whole(at_ms), gate.name
    else
      gone[#gone + 1], fields[#fields + 1] = gate.name, gate.name .. ' pace'
    end
  end
  if #kept > 0 then
    redis.call('HSET', key.gates, unpack(kept))
    redis.call('ZADD', key.paced, unpack(moments))
  end
  if #gone > 0 then
    redis.call('HDEL', key.gates, unpack(fields))
    redis.call('ZREM', key.paced, unpack(gone))
  end
  look_for_paced()
end

-- Looks at up to `limit` gates whose moment has come, and jobs of names that were resumed: the next jobs of these gates get in
-- line. Returns how many, or `limit` if there is more to do.
function queue.look_at_paced(limit)
  local names = redis.call('ZRANGEBYSCORE', key.paced, '-inf', now_ms, 'LIMIT', '0', queue.whole(limit))
  local gates, resumed, is_known, is_more = {}, {}, {}, false
  for _, name in ipairs(names) do
    if string.sub(name, 1, 1) == 'p' then
      resumed[#resumed + 1] = name
    else
      gates[#gates + 1], is_known[name] = queue.gate(name), true
    end
  end
  local free = {}
  if #resumed > 0 then
    free, is_more = queue.take_back(resumed, limit - #gates)
  end
  queue.save_paces(gates)
  for _, name in ipairs(free) do
    if not is_known[name] then
      gates[#gates + 1], is_known[name] = queue.gate(name), true
    end
  end
  if #gates > 0 then
    queue.admit(gates)
  end
  return is_more and limit or #names
end

-- A handler was told to wait: no job of this group starts until then. A longer hold stays.
function queue.hold_group(gate, until_ms)
  queue.pace_of(gate)
  gate.held_ms = math.max(gate.held_ms, until_ms)
  gate.stored_pace, gate.is_paced = gate.stored_pace or '', true
  queue.save_paces({ gate })
end

-- Its jobs may start again.
function queue.end_group_hold(gate)
  queue.pace_of(gate)
  gate.held_ms = 0
  queue.save_paces({ gate })
end
