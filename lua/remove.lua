#!lua flags=allow-oom
-- Removes jobs for good, whatever their state, but not while they run. The ids are ARGV[2..].
-- Answers { 'removed', now_ms, removed ids, active ids }; the others did not exist.
-- O(n log N). Harmless when repeated.
-- needs: meta, find, count, emit
-- rarely: take_out, finish, forget, delayed, drained, head, leave, expiry, types

local removed, active, delayed, open, leaving = {}, {}, false, false, {}
local records = redis.call('HMGET', key.jobs, unpack(ARGV, 2))
queue.check_types_for(records)
for i = 2, #ARGV do
  local id, record = ARGV[i], records[i - 1]
  local state, _, part = queue.find(id)
  if state == 'active' then
    active[#active + 1] = id
  elseif state then
    queue.take_out(id, part, record)
    if record and queue.has_traits(record) then
      leaving[#leaving + 1] = { id = id, record = record, from = state, to = 'removed' }
    end
    removed[#removed + 1] = id
    delayed = delayed or state == 'delayed'
    open = open or state == 'delayed' or state == 'waiting' or state == 'blocked'
  end
end
if #removed > 0 then
  queue.announce(removed)
  queue.forget_ended(removed)
end
if delayed then
  queue.look_for_due()
end
if #leaving > 0 then
  queue.leave(leaving)
end
queue.forget_expiry(removed)
queue.count('removed', #removed)
queue.emit('removed', removed)
if open then
  queue.say_if_drained()
end
queue.flush_events()
queue.save_meta()
return { 'removed', now_ms, removed, active }
