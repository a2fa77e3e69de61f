-- Moves at most `limit` due jobs to `waiting`. args: limit. Workers promote as they claim; this serves a
-- queue whose workers are all busy. Answers { 'promoted', now_ms, how many }. O(n log N).
-- Harmless when repeated.

local ids = {}
if not is_paused() then
  ids = promote(args.limit)
  if #ids > 0 then
    arm(0)
  end
  flush_events()
  save_meta()
end
return { 'promoted', now_ms, #ids }
