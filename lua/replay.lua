-- Puts dead jobs back in line, at the back of their priority and with a fresh budget of
-- attempts and stalls; the history stays. The ids are ARGV[2..].
-- Answers { 'replayed', now_ms, the ids that were dead }. O(n log N).
-- Harmless when repeated: what is back in line is not dead.

local function fresh_budget(id)
  local counters = read_counters(id)
  write_counters(id, { 0, 0, 0, counters[4] })
  redis.call('HDEL', key_stalls, id)
  redis.call('HDEL', key_results, id)
  redis.call('HDEL', key_progress, id)
end

local replayed, options = {}, {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local record = redis.call('HGET', key_jobs, id)
  if record and redis.call('ZREM', key_dead, id) == 1 then
    fresh_budget(id)
    replayed[#replayed + 1] = id
    options[#replayed] = { priority = priority_of(record) }
  end
end

enter_waiting(replayed, options)
if #replayed > 0 and not is_paused() then
  arm(0)
end
count('replayed', #replayed)
emit('replayed', replayed)
flush_events()
save_meta()
return { 'replayed', now_ms, replayed }
