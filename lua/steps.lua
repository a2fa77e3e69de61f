#!lua flags=no-writes
-- Reads the steps of a job (lib/steps.lua). args: id, from (the number of the first), bytes (about so many at most), and cut: so many bytes
-- of each value at most, if not all of it is wanted.
-- Answers { 'steps', now_ms, the number of the last step, where to go on (0: that was all), of how many things beside them
-- follow the name, the value, and how long it is in whole: `cursor`, the checkpoint, `cancel`, the request to cancel the job (lib/requests.lua),
-- and `undo`, whether it is a saga (lib/saga.lua), all with the first step alone; and then of each step its number, what is stored, and how long
-- that is in whole }. O(steps).
-- needs: arguments, attempts, steps, lists

local last = queue.stepped(queue.read_counters(args.id))
local answer = { 'steps', now_ms, last, 0, 0 }
local NEXT, BESIDE = 4, 5

local function add(name, value)
  local sent = args.cut and string.sub(value, 1, args.cut) or value
  queue.append(answer, name, sent)
  answer[#answer + 1] = #value
  return #sent
end

for _, name in ipairs(args.from == 1 and { 'cursor', 'cancel', 'undo' } or {}) do
  local value = redis.call('HGET', key.attempts, args.id .. '#' .. name)
  if value then
    answer[BESIDE] = answer[BESIDE] + 1
    add(name, value)
  end
end
local bytes = 0
for n = args.from, last do
  if bytes >= args.bytes then
    answer[NEXT] = n
    break
  end
  local stored = redis.call('HGET', key.attempts, queue.step_field(args.id, n))
  if stored then
    bytes = bytes + add(n, stored)
  end
end
return answer
