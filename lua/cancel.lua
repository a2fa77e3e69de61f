#!lua flags=allow-oom
-- Cancels jobs. One that waits or is delayed ends as cancelled, and is kept like a job that its handler has cancelled: for its
-- own retention, or for as long as is set for the queue. For one that runs a request is stored (lib/requests.lua), and
-- announced to its worker; the first request stays. ARGV[2] is what is stored as the outcome; the ids are ARGV[3..].
-- Answers { 'cancelled', now_ms, cancelled ids, ids that run, { id, state, .. } of the others that are there }.
-- O(n log N). Harmless when repeated: a job that has ended is left as it is.
-- needs: meta, find, emit, lists
-- rarely: take_out, cancelled, attempts, requests, delayed, drained, shown, head, leave, expiry, types

local FIRST_ID = 3
-- Workers read announcements at once; one that has missed some hears of the requests when it renews its leases.
local ANNOUNCEMENTS_KEPT, KEPT_FOR_MS = 1000, 60000

local outcome = ARGV[2]
local records = redis.call('HMGET', key.jobs, unpack(ARGV, FIRST_ID))
queue.check_types_for(records)
local cancelled, outcomes, cancelled_records, running, others = {}, {}, {}, {}, {}
local is_delayed, leaving = false, {}
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
      leaving[#leaving + 1] = { id = id, record = record, from = state, to = 'ended', outcome = outcome }
    end
    local at = #cancelled + 1
    cancelled[at], outcomes[at], cancelled_records[at] = id, outcome, record
    is_delayed = is_delayed or state == 'delayed'
  elseif state == 'active' then
    running[#running + 1] = id
  elseif state then
    queue.append(others, id, queue.shown_state(id, state))
  end
end

-- The announcement names the claim: it is for this attempt, and for no other job that gets the same id later.
local function request(ids)
  for i = 1, #ids do
    if redis.call('HSETNX', key.attempts, ids[i] .. '#cancel', outcome) == 1 then
      queue.write_counters(ids[i], queue.read_counters(ids[i]))
    end
  end
  local requests, claims = queue.read_requests(ids), redis.call('HMGET', key.claims, unpack(ids))
  local fields = {}
  for i = 1, #ids do
    if claims[i] then
      queue.append(fields, ids[i], claims[i] .. '\n' .. requests[i])
    end
  end
  if #fields > 0 then
    redis.call('XADD', key.cancels, 'MAXLEN', '~', ANNOUNCEMENTS_KEPT, '*', unpack(fields))
    redis.call('PEXPIRE', key.cancels, KEPT_FOR_MS)
  end
end

queue.end_cancelled(cancelled, outcomes, cancelled_records)
if is_delayed then
  queue.look_for_due()
end
if #leaving > 0 then
  queue.leave(leaving)
end
queue.forget_expiry(cancelled)
if #cancelled > 0 then
  queue.say_if_drained()
end
if #running > 0 then
  request(running)
end
queue.flush_events()
queue.save_meta()
return { 'cancelled', now_ms, cancelled, running, others }
