#!lua flags=no-writes
-- Reads the steps of a job (lib/steps.lua). args: id, from (the number of the first), bytes (about so many at most).
-- Answers { 'steps', now_ms, the number of the last step, where to go on (0: that was all), of how many things beside them
-- follow the name and the value: `cursor`, the checkpoint, `cancel`, the request to cancel the job (lib/requests.lua), and `undo`, whether it is a
-- saga (lib/saga.lua), all with the first step alone; and then of each step its number, and what is stored }. O(steps).
-- needs: arguments, attempts, steps, lists

local last = queue.stepped(queue.read_counters(args.id))
local answer = { 'steps', now_ms, last, 0, 0 }
local NEXT, BESIDE = 4, 5
for _, name in ipairs(args.from == 1 and { 'cursor', 'cancel', 'undo' } or {}) do
  local value = redis.call('HGET', key.attempts, args.id .. '#' .. name)
  if value then
    answer[BESIDE] = answer[BESIDE] + 1
    queue.append(answer, name, value)
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
    bytes = bytes + #stored
    queue.append(answer, n, stored)
  end
end
return answer
