-- All that is known of one job. args: id. O(log N).
-- Answers { 'missing', now_ms }, or { 'found', now_ms, and what lib/describe.lua says of the job }.

local state, score = queue.find(args.id)
local job = state and queue.describe(args.id, queue.shown_state(args.id, state), score)
if not job then
  return { 'missing', now_ms }
end
return { 'found', now_ms, unpack(job) }
