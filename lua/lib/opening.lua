-- The moment before which nothing may be claimed, because of a limit or a hold: who comes back for it.
-- needs: arguments, meta, whole, arm
-- rarely: rate, timer

-- The token is armed for that moment, unless another worker than the caller keeps the timer for it. A worker that calls before
-- may take the timer. If no worker keeps it, a caller with slots arms again, because it may have popped the token itself; a
-- producer (no caller) has popped none.
local function leave_timer(at_ms, caller)
  local held_ms, holder = string.match(meta.timer or '', '^(%d+) (.*)$')
  if tonumber(held_ms) ~= at_ms or holder == caller then
    queue.set_meta('timer', queue.whole(at_ms) .. ' -')
    queue.arm(at_ms)
  elseif caller and holder == '-' then
    queue.arm(at_ms)
  end
end

-- Returns the moment this caller has to be back, or nil. waits: something waits for the opening; due_ms: when the next
-- delayed job is due, or nil; is_busy: the caller has no free slot, so another worker should keep the timer.
function queue.come_back_at(opens_ms, waits, due_ms, is_busy)
  local at_ms = waits and opens_ms or due_ms and math.max(opens_ms, due_ms)
  if not at_ms then
    return nil
  end
  if meta.expiring then
    -- What is not to start any more ends also while nothing may start.
    at_ms = math.min(at_ms, queue.number(meta.expiring))
  end
  if is_busy and args.hold then
    return leave_timer(at_ms, args.worker)
  end
  return queue.hold_timer(at_ms)
end

-- There is a new job in line, and the queue may have limits: a worker is woken when the next job may start.
function queue.arm_for_new_job()
  local opens_ms = queue.opens_at(1)
  if opens_ms and opens_ms > now_ms then
    leave_timer(opens_ms)
  else
    queue.arm(0)
  end
end
