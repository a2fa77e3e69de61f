-- Events of attempts that did not simply complete (outcome.lua), and how many there were.
-- needs: emit, count
-- rarely: emit_value

-- By reason, in the order in which the reasons came. bounced[i]: as of settle_others; the blob is the reason.
local function tell_why(bounced)
  local reasons, ids = {}, {}
  for _, other in ipairs(bounced) do
    if not ids[other.blob] then
      ids[other.blob] = {}
      reasons[#reasons + 1] = other.blob
    end
    table.insert(ids[other.blob], other.id)
  end
  for _, why in ipairs(reasons) do
    queue.emit('bounced', ids[why])
    queue.emit_value('why', why)
  end
end

function queue.tell_of_ends(events, bounced)
  tell_why(bounced)
  for _, kind in ipairs({ 'cancelled', 'compensated', 'retrying', 'snoozed', 'suspended', 'delayed', 'waiting' }) do
    queue.emit(kind, events[kind])
  end
  queue.count('cancelled', #events.cancelled + #events.compensated)
  queue.count('retried', #events.retrying)
  queue.count('snoozed', #events.snoozed)
end
