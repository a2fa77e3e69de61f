-- What each outcome of an attempt means for its job. A settling call collects it in a plan,
-- which settle.lua carries out for the whole batch.

local function new_plan()
  return {
    ended = {},                                 -- ids that leave `active`
    plain_ids = {}, plain_outcomes = {},        -- completed and kept as long as most
    finished = {}, dead = {},
    delayed_ids = {}, delayed_options = {},
    waiting_ids = {}, waiting_options = {},
    again_ids = {}, again_scores = {},          -- back to their exact place
    events = { completed = {}, cancelled = {}, retrying = {}, delayed = {}, waiting = {} },
  }
end

local function append(list, value)
  list[#list + 1] = value
end

-- One function per outcome: what is to happen to `id`. `attempt` is the named rest of the
-- arguments, with the claim's `score` and `since_ms`.
local outcomes = {}

local function finished(plan, id, attempt, blob)
  append(plan.finished, {
    id = id, outcome = blob, keep_ms = attempt.keep_ms, own = attempt.own_retention,
  })
end

function outcomes.completed(plan, id, attempt, blob)
  finished(plan, id, attempt, blob)
  append(plan.events.completed, id)
end

function outcomes.cancelled(plan, id, attempt, blob)
  finished(plan, id, attempt, blob)
  append(plan.events.cancelled, id)
end

local function delay(plan, id, attempt)
  append(plan.delayed_ids, id)
  append(plan.delayed_options, {
    priority = priority_at(attempt.score), due_ms = now_ms + attempt.after_ms,
  })
  return id .. ':' .. whole(now_ms + attempt.after_ms)
end

function outcomes.retry(plan, id, attempt, blob)
  record_attempt(id, attempt.since_ms, blob, 1)
  if attempt.after_ms > 0 then
    append(plan.events.retrying, delay(plan, id, attempt))
  else
    append(plan.waiting_ids, id)
    append(plan.waiting_options, { priority = priority_at(attempt.score) })
    append(plan.events.retrying, id .. ':' .. whole(now_ms))
  end
end

function outcomes.dead(plan, id, attempt, blob)
  record_attempt(id, attempt.since_ms, blob, 1)
  append(plan.dead, { id = id, reason = attempt.reason })
end

function outcomes.bounced(plan, id, attempt)
  record_bounce(id)
  append(plan.events.delayed, delay(plan, id, attempt))
end

function outcomes.released(plan, id, attempt)
  append(plan.again_ids, id)
  append(plan.again_scores, whole(attempt.score))
  append(plan.events.waiting, id)
end
