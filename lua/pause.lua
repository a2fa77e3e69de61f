#!lua flags=allow-oom
-- Stops claims in the whole queue; jobs that run go on. args: none.
-- Answers { 'paused', now_ms, changed }. O(1). Harmless when repeated.
-- needs: meta, emit
-- rarely: emit_value

local changed = redis.call('HSETNX', key.meta, 'paused', now_ms)
if changed == 1 then
  redis.call('DEL', key.wake)
  queue.emit_value('paused', '')
  queue.flush_events()
  queue.save_meta()
end
return { 'paused', now_ms, changed }
