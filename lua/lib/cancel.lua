-- Ends jobs that wait, are blocked or are delayed as cancelled, and asks those that run to end (requests.lua). A saga (saga.lua) that
-- waits is not ended: it goes in line, to be undone.
-- needs: find, lists
-- rarely: take_out, cancelled, attempts, requests, delayed, drained, shown, head, leave, expiry, types, far_types, saga, waits, wake

-- Workers read announcements at once; one that has missed some hears of the requests when it renews its leases.
local REQUESTS_KEPT, KEPT_FOR_MS = 1000, 60000

-- The announcement names the claim: it is for this attempt, and for no other job that gets the same id later.
local function ask_to_end(ids, outcome)
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
    redis.call('XADD', key.cancels, 'MAXLEN', '~', REQUESTS_KEPT, '*', unpack(fields))
    redis.call('PEXPIRE', key.cancels, KEPT_FOR_MS)
  end
end

-- Of the ids list[first..]; `outcome` is what is stored as their outcome. Returns the ids that were cancelled, those that run or are to be undone, and { id,
-- state, .. } of the others that are there.
function queue.cancel(list, first, outcome)
  local records = redis.call('HMGET', key.jobs, unpack(list, first))
  queue.check_types_for(records)
  queue.check_outbox()
  local cancelled, outcomes, cancelled_records, running, others = {}, {}, {}, {}, {}
  local is_delayed, leaving, undone = false, {}, {}
  local sagas = queue.sagas_among({ unpack(list, first) })
  for i = first, #list do
    local id, record = list[i], records[i - first + 1]
    -- An id without a record is no job: another program wrote it, and the next claim drops it.
    local state, part, _
    if record then
      state, _, part = queue.find(id)
    end
    local saga = state ~= 'active' and sagas[id]
    if saga and (state == 'waiting' or state == 'blocked' or state == 'delayed') then
      undone[#undone + 1] = id
      if queue.goes_forward(saga) then
        queue.begin_undo(id, outcome)
        if state == 'delayed' or state == 'blocked' and queue.is_untold(id) then
          queue.wake(id, record, part)
        end
      end
    elseif state == 'waiting' or state == 'blocked' or state == 'delayed' then
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
    ask_to_end(running, outcome)
  end
  for i = 1, #undone do
    running[#running + 1] = undone[i]
  end
  return cancelled, running, others
end
