#!lua flags=no-writes
-- Reads what a job knows of its children, from one of them on: at most 256 of them, and one beyond max_bytes at most. args: id, from
-- (the number of the first), max_bytes.
-- Answers { 'children', now_ms, how many children there are, how many are open, where to go on, how many follow, and of each: its
-- number, what is known of it (lib/children.lua) }. O(n).
-- needs: arguments, children, child_fields, whole

local AT_MOST = 256

local total, open = queue.children_of(args.id)
local answer = { 'children', now_ms, total or 0, open or 0, args.from, 0 }
local bytes, next_number = 0, args.from
while next_number < (total or 0) and next_number < args.from + AT_MOST and bytes < args.max_bytes do
  local known = redis.call('HGET', key.attempts, queue.child_field(args.id, queue.whole(next_number)))
  if known then
    answer[6] = answer[6] + 1
    answer[#answer + 1], answer[#answer + 2] = next_number, known
    bytes = bytes + #known
  end
  next_number = next_number + 1
end
answer[5] = next_number
return answer
