-- Lets claims go on after a pause. args: none. Answers { 'resumed', now_ms, changed }. O(1).
-- Harmless when repeated.

local changed = redis.call('HDEL', key_meta, 'paused')
if changed == 1 then
  arm(0)
  emit_value('resumed', '')
  flush_events()
  save_meta()
end
return { 'resumed', now_ms, changed }
