#!lua flags=allow-oom
-- Cancels jobs that have not begun. Each ends as cancelled, and is kept like a job that its handler has cancelled: for its own
-- retention, or for as long as is set for the queue. ARGV[2] is what is stored as its outcome; the ids are ARGV[3..].
-- Answers { 'cancelled', now_ms, cancelled ids, { id, state, .. } of the others that are there }.
-- O(n log N). Harmless when repeated: a job that has ended is left as it is.
-- needs: meta, find, finish, count, emit, lists
-- rarely: take_out, head, delayed, drained, shown, leave, expiry

local FIRST_ID = 3
local outcome = ARGV[2]
local records = redis.call('HMGET', key.jobs, unpack(ARGV, FIRST_ID))
local cancelled, others = {}, {}
-- For how long jobs ask to be kept, if they do.
local keep_ms, is_delayed, leaving = {}, false, {}
for i = FIRST_ID, #ARGV do
  local id, record = ARGV[i], records[i - FIRST_ID + 1]
  -- An id without a record is no job: another program wrote it, and the next claim drops it.
  local state, part, _
  if record then
    state, _, part = queue.find(id)
  end
  if state == 'waiting' or state == 'blocked' or state == 'delayed' then
    queue.take_out(id, part, record)
    if queue.has_traits(record) then
      leaving[#leaving + 1] = { id = id, record = record, from = state, to = 'ended' }
    end
    cancelled[#cancelled + 1] = id
    -- What is no whole number counts as none: the job is out of line, so nothing may fail now.
    keep_ms[id] = tonumber(string.match(queue.field_of(record, 'keep_ms') or '', '^%d+$'))
    is_delayed = is_delayed or state == 'delayed'
  elseif state then
    queue.append(others, id, queue.shown_state(id, state))
  end
end

-- Those that are kept as is set for the queue end together.
local plain, outcomes = {}, {}
for _, id in ipairs(cancelled) do
  if keep_ms[id] then
    queue.finish({ id }, { outcome }, keep_ms[id])
  else
    plain[#plain + 1], outcomes[#outcomes + 1] = id, outcome
  end
end
queue.finish(plain, outcomes)
if is_delayed then
  queue.look_for_due()
end
if #leaving > 0 then
  queue.leave(leaving)
end
queue.forget_expiry(cancelled)
queue.count('cancelled', #cancelled)
queue.emit('cancelled', cancelled)
if #cancelled > 0 then
  queue.say_if_drained()
end
queue.flush_events()
queue.save_meta()
return { 'cancelled', now_ms, cancelled, others }
