-- Moves at most `limit` due jobs to `waiting`. args: limit, worker, hold. Workers promote as they
-- claim; this serves a queue whose workers are all busy. Answers { 'promoted', now_ms, how many,
-- tick }. O(n log N). Harmless when repeated.

local ids = {}
if not is_paused() then
  ids = promote(args.limit)
  if #ids > 0 then
    arm(0)
  end
  flush_events()
end
local tick_ms = hold_tick()
save_meta()
return { 'promoted', now_ms, #ids, tick_ms or -1 }
