-- Moves at most `limit` due jobs to `waiting`. args: limit. Workers promote as they claim; this serves a
-- queue whose workers are all busy. Answers { 'promoted', now_ms, how many }. O(n log N).
-- Harmless when repeated.

local ids = {}
if not meta.paused then
  ids = queue.promote(args.limit)
  if #ids > 0 then
    queue.arm(0)
  end
  queue.flush_events()
  queue.save_meta()
end
return { 'promoted', now_ms, #ids }
