#!lua flags=allow-oom
-- Removes jobs for good, if they are dead. The ids are ARGV[2..]; a job that is not dead (any more) is left alone.
-- Answers { 'purged', now_ms, removed ids }. O(n log N). Harmless when repeated.
-- needs: meta, count, emit
-- rarely: finish, forget, head, leave, expiry

local purged, leaving = {}, {}
for i = 2, #ARGV do
  local id = ARGV[i]
  if redis.call('ZREM', key.dead, id) == 1 then
    local record = redis.call('HGET', key.jobs, id)
    if record and queue.has_traits(record) then
      leaving[#leaving + 1] = { id = id, record = record, from = 'dead', to = 'removed' }
    end
    purged[#purged + 1] = id
  end
end
if #purged > 0 then
  queue.announce(purged)
  queue.forget_ended(purged)
end
if #leaving > 0 then
  queue.leave(leaving)
end
queue.forget_expiry(purged)
queue.count('removed', #purged)
queue.emit('removed', purged)
queue.flush_events()
queue.save_meta()
return { 'purged', now_ms, purged }
