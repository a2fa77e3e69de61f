#!lua flags=allow-oom
-- Stops claims in the whole queue; jobs that run go on. A hold (lib/hold_queue.lua) becomes a pause. args: none.
-- Answers { 'paused', now_ms, changed }. O(1). Harmless when repeated.
-- needs: meta, emit
-- rarely: emit_value

local changed = not meta.paused or meta.hold_ends_ms
if changed then
  queue.set_meta('paused', now_text)
  redis.call('DEL', key.wake)
  queue.emit_value('paused', '')
  queue.flush_events()
  queue.save_meta()
end
return { 'paused', now_ms, changed and 1 or 0 }
