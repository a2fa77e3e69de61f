-- The one call of a busy worker: ends attempts, promotes some due jobs, claims new ones.
-- args: lane, call, worker, settle, keep_ms, keep_count, claim, claim_bytes, suspect, lease_ms,
-- hold. Answers what was refused, what was claimed and when there will be more to do:
-- { 'new' | 'repeated', now_ms, refused, first_fence, fences, ids, records, extras, more,
-- next_at, suspects }, or { 'superseded', now_ms }. The fences are consecutive from
-- first_fence, but for a repeated call, which names those that still hold.
-- O((settled + promoted + claimed) log N), each at most 256 but for promoted (512).

local PROMOTED_AT_LEAST = 64
local PROMOTED_AT_MOST = 256
local TRIMMED_AT_MOST = 256

-- The jobs a repeated call claimed and that still carry the fence it gave them. Their leases
-- begin anew: nobody has run them yet.
local function still_claimed(answer)
  local ids, fences, records = {}, {}, {}
  if #answer.ids == 0 then
    return ids, fences, records
  end
  local claims = read_claims(answer.ids)
  for i = 1, #answer.ids do
    local fence = answer.first_fence + i - 1
    if claims[i] and unpack_claim(claims[i]) == fence then
      ids[#ids + 1] = answer.ids[i]
      fences[#fences + 1] = fence
    end
  end
  if #ids > 0 then
    records = redis.call('HMGET', key_jobs, unpack(ids))
    renew(ids, args.lease_ms)
  end
  return ids, fences, records
end

local function is_drained()
  return redis.call('EXISTS', key_waiting) == 0
    and redis.call('EXISTS', key_suspects) == 0
    and redis.call('EXISTS', key_delayed) == 0
    and active_count() == 0
end

-- One idle worker keeps the timer for the next due job; the others need not wake for it.
-- Returns the moment this caller has to be back, or nil.
local function hold_timer(due_ms)
  if not args.hold then
    arm(due_ms)
    return nil
  end
  local mine = string.format('%.0f ', due_ms) .. args.worker
  local held = redis.call('HGET', key_meta, 'timer')
  local held_due, holder = string.match(held or '', '^(%d+) (.*)$')
  if holder and holder ~= args.worker and tonumber(held_due) == due_ms then
    return nil
  end
  if held ~= mine then
    redis.call('HSET', key_meta, 'timer', mine)
  end
  return due_ms
end

-- Returns whether there is more to claim now, and when there will be.
local function outlook(claimed_suspects)
  local due_ms = next_due()
  local more = redis.call('EXISTS', key_waiting) == 1 or (due_ms and due_ms <= now_ms)
  -- Whoever blocks on the token takes what this caller has no room for. Suspects are offered on
  -- only by a caller that took one: workers that are all busy with a suspect would otherwise
  -- wake each other for ever.
  if more or (claimed_suspects > 0 and redis.call('EXISTS', key_suspects) == 1) then
    arm(0)
  end
  if more or not due_ms then
    return more, nil
  end
  return false, hold_timer(due_ms)
end

local status, answer = begin_call(args.lane, args.call)
if status == 'superseded' then
  return { status, now_ms }
end

local paused = is_paused()
local ids, records, fences
local claimed_suspects = 0
if status == 'new' then
  answer = { refused = settle(args.settle), ids = {}, first_fence = 0 }
  if #args.settle > 0 then
    cap_completed(args.keep_count, TRIMMED_AT_MOST)
  end
  records = {}
  if not paused then
    promote(math.min(PROMOTED_AT_MOST, math.max(PROMOTED_AT_LEAST, 2 * args.claim)))
    if args.claim > 0 then
      answer.ids, records, answer.first_fence, claimed_suspects =
        claim(args.claim, args.claim_bytes, args.suspect, args.worker, args.lease_ms)
    end
  end
  ids, fences = answer.ids, {}
  if #args.settle > #answer.refused and #ids == 0 and is_drained() then
    emit_value('drained', '')
  end
  end_call(args.lane, args.call, answer)
  flush_events()
else
  ids, fences, records = still_claimed(answer)
end

local more, next_at = false, nil
if not paused then
  more, next_at = outlook(claimed_suspects)
end
return {
  status, now_ms, answer.refused, answer.first_fence, fences, ids, records, deliver(ids, records),
  more and 1 or 0, next_at or -1, redis.call('ZCARD', key_suspects),
}
