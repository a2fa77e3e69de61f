#!lua flags=allow-oom
-- Lets claims go on after a pause. args: none. Answers { 'resumed', now_ms, changed }. O(1).
-- Harmless when repeated.
-- needs: meta
-- rarely: arm, whole, news, emit, emit_value

local changed = redis.call('HDEL', key.meta, 'paused')
if changed == 1 then
  queue.arm(0)
  if queue.number(meta.unhandled) > 0 then
    queue.tell_of_unhandled()
  end
  queue.emit_value('resumed', '')
  queue.flush_events()
  queue.save_meta()
end
return { 'resumed', now_ms, changed }
