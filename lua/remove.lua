#!lua flags=allow-oom
-- Removes jobs for good, but not while they run. args: only_in, the state in which they must be, if not any will do; seen, if
-- no attempt of them may have left anything since they were read. The ids are ARGV[2..]; if `seen`, as many texts follow, their counters
-- (lib/attempts.lua) as they were read, empty if there were none.
-- Answers { 'removed' | 'removed_sent' (messages were put into the outbox), now_ms, removed ids, active ids,
-- { id, state, .. } of those in another state, or that have run since }; the others did not exist.
-- O(n log N). Harmless when repeated.
-- needs: arguments, meta, find, count, emit
-- rarely: lists, shown, take_out, finish, forget, delayed, drained, head, leave, expiry, types, far_types

local removed, active, others, delayed, open, leaving = {}, {}, {}, false, false, {}
local n = args.seen and (#ARGV - 1) / 2 or #ARGV - 1
local records = n > 0 and redis.call('HMGET', key.jobs, unpack(ARGV, 2, n + 1)) or {}

local function has_run_since(i)
  return args.seen and (redis.call('HGET', key.attempts, ARGV[i]) or '') ~= ARGV[i + n]
end

queue.check_types_for(records)
queue.check_outbox()
for i = 2, n + 1 do
  local id, record = ARGV[i], records[i - 1]
  local state, _, part = queue.find(id)
  if state == 'active' then
    active[#active + 1] = id
  elseif state and args.only_in and queue.shown_state(id, state) ~= args.only_in or state and has_run_since(i) then
    queue.append(others, id, queue.shown_state(id, state))
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
return { meta.has_sent and 'removed_sent' or 'removed', now_ms, removed, active, others }
