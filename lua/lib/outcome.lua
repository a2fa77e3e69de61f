-- What each outcome of an attempt means for its job. The commonest outcome is in settle.lua.
-- needs: arguments, places, said, bury, enter, lists, optional
-- rarely: finish, attempts, held, order, whole, told, cancelled, hold_queue
-- with all: unhandled, leave, leaving, expiry, suspended

-- others[i] is a map of { id, position, blob, receipt, outcome, keep_ms, after_ms, reason, name, steps }; keep_ms is
-- what the job itself asks for, if it does; with traits: the job has some (head.lua).
-- Appends the ids of those that are completed to `completed`. `leaving`: other jobs, for `leave`; or nil. Returns what obey_requests does.
function queue.settle_others(others, completed, leaving)
  local dead, delayed, waiting, again, unhandled, bounced, untold = {}, {}, {}, {}, {}, {}, {}
  local events = { cancelled = {}, compensated = {}, retrying = {}, snoozed = {}, suspended = {}, delayed = {}, waiting = {} }
  local options, places = {}, {}
  local ENDS, open = { completed = true, cancelled = true, compensated = true, dead = true }, {}
  local function delay(other, event, detail)
    local due_ms = now_ms + other.after_ms
    queue.append(delayed, other.id)
    options[other.id] = { priority = queue.priority_at(places[other.id]), due_ms = due_ms }
    queue.append(event, other.id .. ':' .. queue.whole(due_ms) .. (detail or ''))
  end
  local function try_again(other, event)
    if other.after_ms > 0 then
      delay(other, event)
    else
      queue.append(waiting, other.id)
      options[other.id] = { priority = queue.priority_at(places[other.id]) }
      queue.append(event, other.id .. ':' .. now_text)
    end
  end

  local outcomes = {}
  function outcomes.completed(other)
    queue.finish({ other.id }, { other.blob }, other.keep_ms)
    queue.append(completed, other.id)
  end

  function outcomes.cancelled(other)
    queue.finish({ other.id }, { other.blob }, other.keep_ms)
    queue.append(events[other.outcome], other.id)
  end
  outcomes.compensated = outcomes.cancelled

  function outcomes.retry(other)
    queue.record_attempt(other.id, queue.claimed_since(other.receipt), other.blob, 1)
    try_again(other, events.retrying)
  end

  function outcomes.snoozed(other)
    delay(other, events.snoozed, ':' .. queue.whole(queue.record_snooze(other.id)))
  end

  function outcomes.suspended(other)
    try_again(other, events.suspended)
  end

  function outcomes.untold(other)
    queue.append(untold, other.id)
    queue.append(events.suspended, other.id .. ':0')
  end

  function outcomes.dead(other)
    queue.record_attempt(other.id, queue.claimed_since(other.receipt), other.blob, 1)
    queue.append(dead, { id = other.id, reason = other.reason })
  end

  function outcomes.bounced(other)
    queue.record_bounce(other.id)
    queue.append(bounced, other)
    if other.name then
      queue.append(unhandled, other)
    else
      delay(other, events.delayed)
    end
  end

  function outcomes.released(other)
    queue.append(again, other.id)
    queue.append(events.waiting, other.id)
  end

  function outcomes.rate_limited(other)
    queue.hold_until(now_ms + other.after_ms)
    outcomes.released(other)
  end

  local ids = {}
  for i = 1, #others do
    ids[i] = others[i].id
  end
  local known, records = queue.places_of(ids)
  for i = 1, #ids do
    -- Without a record the job cannot be run, and the next claim that meets it drops it.
    places[ids[i]] = known[i] or '0'
  end
  local overruled = queue.has(key.attempts) and queue.obey_requests(others) or nil
  -- Where jobs with traits go, for their gates.
  leaving = args.traits and queue.add_leaving(leaving or {}, others, records) or {}
  for _, other in ipairs(others) do
    outcomes[other.outcome](other)
    if not ENDS[other.outcome] then
      open[#open + 1] = other.id
    end
  end
  queue.bury(dead)
  queue.unsay_progress(open)
  queue.enter_delayed(delayed, queue.in_order(delayed, options))
  queue.enter_anew(waiting, options)
  queue.enter_line(again, queue.in_order(again, places))
  if #unhandled > 0 then
    queue.enter_unhandled(unhandled, places)
  end
  if #untold > 0 then
    queue.block_until_told(untold)
  end
  if #leaving > 0 or leaving.of_groups then
    queue.leave(leaving)
    queue.expect_again(leaving)
  end
  queue.tell_of_ends(events, bounced)
  return overruled
end
