#!lua flags=allow-oom
-- Looks at one group, and changes what is set for it (lib/gate.lua). args: group (as in the head of a record), change (numbers by
-- name; 0 takes the setting away).
-- Answers { 'group', now_ms, active, in line (0 or 1), blocked, what is set for it: a text }. O(log N). Harmless when repeated.
-- needs: arguments, meta, whole, gate, turn
-- rarely: admit, emit, running

local name = 'g' .. args.group
local field = name .. ' set'
local before = redis.call('HGET', key.gates, field) or ''
local values, words = {}, {}
for setting, number in string.gmatch(before, '(%l+)=(%d+)') do
  values[setting] = number
end
for setting, number in pairs(args.change) do
  values[setting] = number > 0 and queue.whole(number) or nil
end
for setting, number in pairs(values) do
  words[#words + 1] = setting .. '=' .. number
end
table.sort(words)
local after = table.concat(words, ' ')
if after ~= before then
  if after == '' then
    redis.call('HDEL', key.gates, field)
  else
    redis.call('HSET', key.gates, field, after)
  end
  -- Its next job may get in line.
  local gate = queue.gate(name)
  gate.set = after
  queue.admit({ gate })
  queue.flush_events()
  queue.save_meta()
end
local gate = queue.gate(name)
local blocked = redis.call('ZLEXCOUNT', key.blocked_by, '[' .. gate.name .. '\0', '(' .. gate.name .. '\1')
return { 'group', now_ms, queue.active_in(gate), queue.has_turn(gate) and 1 or 0, blocked, after }
