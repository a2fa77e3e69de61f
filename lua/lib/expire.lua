-- Jobs that have not started by their moment (expiry.lua) end.
-- needs: whole, find, expiry, count
-- rarely: take_out, leave, cancelled, delayed, begun

local NOT_STARTED = { waiting = true, blocked = true, delayed = true }

-- Ends up to `limit` jobs whose moment has come, as cancelled. Returns how many.
function queue.expire(limit)
  local ids = redis.call('ZRANGEBYSCORE', key.expires, '-inf', queue.whole(now_ms), 'LIMIT', '0', queue.whole(limit))
  if #ids == 0 then
    -- Nothing is over, whatever meta.expiring says: no call may come for it again and again.
    queue.look_for_expiring()
    return 0
  end
  local outcome, is_delayed = cmsgpack.pack('expired'), false
  local cancelled, outcomes, cancelled_records, leaving = {}, {}, {}, {}
  local records = redis.call('HMGET', key.jobs, unpack(ids))
  for i = 1, #ids do
    local id, state, part, _ = ids[i], nil, nil, nil
    if records[i] then
      state, _, part = queue.find(id)
    end
    -- A job that started while meta was lost is still among those that are to expire.
    if NOT_STARTED[state] and not queue.has_begun(id) then
      queue.take_out(id, part, records[i])
      leaving[#leaving + 1] = { id = id, record = records[i], from = state, to = 'ended', outcome = outcome }
      local at = #cancelled + 1
      cancelled[at], outcomes[at], cancelled_records[at] = id, outcome, records[i]
      is_delayed = is_delayed or state == 'delayed'
    end
  end
  queue.end_cancelled(cancelled, outcomes, cancelled_records)
  queue.count('expired', #cancelled)
  queue.forget_expiry(ids)
  if is_delayed then
    queue.look_for_due()
  end
  if #leaving > 0 then
    queue.leave(leaving)
  end
  return #ids
end
