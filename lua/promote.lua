-- Moves at most `limit` due jobs to `waiting`. args: limit, worker, hold. Workers promote as they
-- claim; this serves a queue whose workers are all busy. Answers { 'promoted', now_ms, how many,
-- tick }. O((n + lines) log N). Harmless when repeated.

local ids = {}
if not meta.paused then
  ids = queue.promote(args.limit)
  if #ids > 0 then
    queue.arm(0)
  end
  queue.flush_events()
end
local tick_ms = meta.tick and queue.hold_tick()
queue.save_meta()
return { 'promoted', now_ms, #ids, tick_ms or -1 }
