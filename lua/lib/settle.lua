-- Ends attempts: each with one outcome, and only while its claim still carries the fence
-- that the attempt was given. A stale fence changes nothing and is counted.
-- args.settle[i] is { outcome, fence, .. }, or just the fence of an attempt that completed
-- and is kept as long as most (args.keep_ms); its id is ARGV[2 * i], its blob ARGV[2 * i + 1].

local EVENTS_IN_ORDER = { 'completed', 'cancelled', 'retrying', 'delayed', 'waiting' }

local function new_plan()
  return {
    ended = {},                               -- ids that leave `active`
    finished = {}, dead = {}, delayed = {}, waiting = {},
    again_ids = {}, again_scores = {},        -- back to their exact place
    events = { completed = {}, cancelled = {}, retrying = {}, delayed = {}, waiting = {} },
  }
end

local function append(list, value)
  list[#list + 1] = value
end

-- One function per outcome: what is to happen to `id`. `attempt` is the named rest of the
-- arguments, with the claim's `score` and `since`.
local outcomes = {}

function outcomes.completed(plan, id, attempt, blob)
  append(plan.finished, { id = id, keep_ms = attempt.keep_ms, hold_ms = attempt.hold_ms, outcome = blob })
  append(plan.events.completed, id)
end

function outcomes.cancelled(plan, id, attempt, blob)
  append(plan.finished, { id = id, keep_ms = attempt.keep_ms, hold_ms = attempt.hold_ms, outcome = blob })
  append(plan.events.cancelled, id)
end

function outcomes.retry(plan, id, attempt, blob)
  record_attempt(id, attempt.since_ms, blob, 1)
  local due_ms = now_ms + attempt.after_ms
  if attempt.after_ms > 0 then
    append(plan.delayed, { id = id, due_ms = due_ms, priority = priority_at(attempt.score) })
  else
    append(plan.waiting, { id = id, priority = priority_at(attempt.score) })
  end
  append(plan.events.retrying, id .. ':' .. string.format('%.0f', due_ms))
end

function outcomes.dead(plan, id, attempt, blob)
  record_attempt(id, attempt.since_ms, blob, 1)
  append(plan.dead, { id = id, reason = attempt.reason })
end

function outcomes.bounced(plan, id, attempt)
  record_bounce(id)
  local due_ms = now_ms + attempt.after_ms
  append(plan.delayed, { id = id, due_ms = due_ms, priority = priority_at(attempt.score) })
  append(plan.events.delayed, id .. ':' .. string.format('%.0f', due_ms))
end

function outcomes.released(plan, id, attempt)
  append(plan.again_ids, id)
  append(plan.again_scores, attempt.score)
  append(plan.events.waiting, id)
end

local function carry_out(plan)
  unlease(plan.ended)
  finish(plan.finished)
  bury(plan.dead)
  enter_delayed(plan.delayed)
  enter_waiting(plan.waiting)
  if #plan.again_ids > 0 then
    enter_line(plan.again_ids, plan.again_scores)
  end
  for _, kind in ipairs(EVENTS_IN_ORDER) do
    emit(kind, plan.events[kind])
  end
  count('completed', #plan.events.completed)
  count('cancelled', #plan.events.cancelled)
  count('retried', #plan.events.retrying)
end

-- Returns the positions (from 0) that were refused because their fence was stale.
local function settle(attempts)
  local n = #attempts
  local refused = {}
  if n == 0 then
    return refused
  end
  local ids = plain_arguments(2, n, 2)
  local claims = read_claims(ids)
  local plan, seen = new_plan(), {}
  for i = 1, n do
    local id, attempt, fence = ids[i], attempts[i], nil
    if type(attempt) == 'number' then
      attempt = { outcome = 'completed', fence = attempt, keep_ms = args.keep_ms }
    end
    if claims[i] and not seen[id] then
      fence, attempt.score, attempt.since_ms = unpack_claim(claims[i])
    end
    if fence == attempt.fence then
      seen[id] = true
      append(plan.ended, id)
      outcomes[attempt.outcome](plan, id, attempt, ARGV[2 * i + 1])
    else
      append(refused, i - 1)
    end
  end
  carry_out(plan)
  count('refused', #refused)
  return refused
end
