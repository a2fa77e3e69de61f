#!lua flags=allow-oom
-- Lets claims go on after a pause, or before a hold (lib/hold_queue.lua) is over. args: none. Answers { 'resumed', now_ms,
-- changed }. O(1). Harmless when repeated.
-- needs: meta
-- rarely: arm, hold_queue, emit, emit_value

local changed = meta.paused and 1 or 0
if changed == 1 then
  queue.end_hold()
  queue.arm(0)
  queue.emit_value('resumed', '')
  queue.flush_events()
  queue.save_meta()
end
return { 'resumed', now_ms, changed }
