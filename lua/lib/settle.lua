-- Ends attempts: each with one outcome, and only while its claim still carries the fence
-- that the attempt was given. A stale fence changes nothing and is counted.
-- args.settle[i] is { outcome, fence, .. }, or just the fence of an attempt that completed
-- and is kept as long as most (args.keep_ms); its id is ARGV[2 * i], its blob ARGV[2 * i + 1].

local EVENTS_IN_ORDER = { 'completed', 'cancelled', 'retrying', 'delayed', 'waiting' }

local function carry_out(plan)
  unlease(plan.ended)
  finish(plan.plain_ids, plan.plain_outcomes, args.keep_ms, false)
  for _, job in ipairs(plan.finished) do
    finish({ job.id }, { job.outcome }, job.keep_ms, job.own)
  end
  bury(plan.dead)
  enter_delayed(plan.delayed_ids, plan.delayed_options)
  enter_waiting(plan.waiting_ids, plan.waiting_options)
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
    local id, attempt = ids[i], attempts[i]
    local plain = type(attempt) == 'number'
    local fence, score, since_ms
    if claims[i] and not seen[id] then
      fence, score, since_ms = unpack_claim(claims[i])
    end
    if fence ~= (plain and attempt or attempt.fence) then
      append(refused, i - 1)
    else
      seen[id] = true
      append(plan.ended, id)
      if plain then
        append(plan.plain_ids, id)
        append(plan.plain_outcomes, ARGV[2 * i + 1])
        append(plan.events.completed, id)
      else
        attempt.score, attempt.since_ms = score, since_ms
        outcomes[attempt.outcome](plan, id, attempt, ARGV[2 * i + 1])
      end
    end
  end
  carry_out(plan)
  count('refused', #refused)
  return refused
end
