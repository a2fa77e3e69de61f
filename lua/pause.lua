-- Stops claims in the whole queue; jobs that run go on. args: none.
-- Answers { 'paused', now_ms, changed }. O(1). Harmless when repeated.

local changed = redis.call('HSETNX', key_meta, 'paused', now_ms)
if changed == 1 then
  redis.call('DEL', key_wake)
  emit_value('paused', '')
  flush_events()
  save_meta()
end
return { 'paused', now_ms, changed }
