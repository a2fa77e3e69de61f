#!lua flags=allow-oom
-- Looks at one group, and changes what is set for it (lib/gate.lua). args: group (as in the head of a record), change (texts by
-- name; '' takes the setting away), resume (a hold of the group ends).
-- Answers { 'group', now_ms, active, in line (0 or 1), blocked, what is set for it: a text, until when it is held, ms, or 0 }. O(log N).
-- Harmless when repeated.
-- needs: arguments, meta, gate, turn
-- rarely: admit, emit, running, group_pace, paces, aside

local name = 'g' .. args.group
local field = name .. ' set'
local before = redis.call('HGET', key.gates, field) or ''
local values, words = {}, {}
for setting, value in string.gmatch(before, '(%l+)=(%S+)') do
  values[setting] = value
end
for setting, value in pairs(args.change) do
  values[setting] = value ~= '' and value or nil
end
for setting, value in pairs(values) do
  words[#words + 1] = setting .. '=' .. value
end
table.sort(words)
local after = table.concat(words, ' ')
local gate = queue.gate(name)
if after ~= before or args.resume then
  if after == '' then
    redis.call('HDEL', key.gates, field)
  else
    redis.call('HSET', key.gates, field, after)
  end
  gate.set = after
  if args.resume then
    queue.end_group_hold(gate)
  elseif meta.paced then
    queue.save_paces({ gate })
  end
  -- Its next job may get in line.
  queue.admit({ gate })
  queue.flush_events()
  queue.save_meta()
end
local blocked = redis.call('ZLEXCOUNT', key.blocked_by, '[' .. gate.name .. '\0', '(' .. gate.name .. '\1') + queue.aside_in(gate)
return {
  'group', now_ms, queue.active_in(gate), queue.has_turn(gate) and 1 or 0, blocked, after,
  meta.paced and queue.held_until(gate) or 0,
}
