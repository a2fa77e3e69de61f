-- The limits of the queue, where jobs are claimed. They only make a claim smaller: what is
-- held back stays where it is.
-- needs: arguments, meta, whole, settings, active
-- rarely: rate, opening

-- How many jobs may run beside those that are active; nil if that is not limited.
local function free_places()
  local most = queue.number(queue.setting('limit_concurrency'))
  return most > 0 and math.max(0, most - queue.active_count()) or nil
end

-- How many of `claim` jobs may be claimed now.
function queue.within_limits(claim)
  return math.min(claim, free_places() or claim, queue.free_starts() or claim)
end

-- Whether nothing may be claimed now; and when the caller has to be back, if that is its duty. If too many jobs run, no
-- worker has to be back: the call that ends one of them claims the next, or wakes a worker for it. But jobs expire meanwhile.
-- waits: something waits to be claimed; due_ms: when the next delayed job is due, or nil; is_busy: the caller has no free slot.
function queue.held_back(waits, due_ms, is_busy)
  if free_places() == 0 then
    local expires_ms = meta.expiring and queue.number(meta.expiring)
    -- For what has expired by now, a caller that does not ask for jobs with traits calls again at once, and does.
    local calls_again = expires_ms and expires_ms <= now_ms and not args.traits and not is_busy
    return true, expires_ms and not calls_again and queue.come_back_at(expires_ms, true, nil, is_busy) or nil
  end
  local opens_ms = queue.opens_at()
  if not opens_ms or opens_ms <= now_ms then
    return false, nil
  end
  if waits and due_ms and due_ms > now_ms then
    -- A heavy job waits, and what becomes due may be lighter and more urgent.
    opens_ms = math.min(opens_ms, math.max(due_ms, queue.opens_at(1)))
  end
  return true, queue.come_back_at(opens_ms, waits, due_ms, is_busy)
end
