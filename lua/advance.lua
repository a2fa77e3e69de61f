-- The one call of a busy worker: ends attempts, promotes some due jobs, claims new ones.
-- args: lane, call, worker, settle, keep_ms, keep_count, claim, claim_bytes, suspect, lease_ms,
-- hold. Answers what was refused, what was claimed and when there will be more to do:
-- { 'new' | 'repeated', now_ms, refused, first_fence, fences, ids, records, extras, more,
-- next_at, suspects, tick }, or { 'superseded', now_ms }. The fences are consecutive from
-- first_fence, but for a repeated call, which names those that still hold.
-- O((settled + promoted + claimed) log N), each at most 256.

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

-- One idle worker keeps the timer for the next due job; the others need not wake for it.
-- Returns the moment this caller has to be back, or nil.
local function hold_timer(due_ms)
  if not args.hold then
    arm(due_ms)
    return nil
  end
  local mine = whole(due_ms) .. ' ' .. args.worker
  local held = get_meta('timer')
  local held_due, holder = string.match(held or '', '^(%d+) (.*)$')
  if holder and holder ~= args.worker and tonumber(held_due) == due_ms then
    return nil
  end
  if held ~= mine then
    set_meta('timer', mine)
  end
  return due_ms
end

-- Promotes what is due and claims. Returns the claim's ids and records, the first fence, how
-- many of them are suspects, and whether there may be more to claim.
local function take()
  local due_ms = next_due()
  if due_ms and due_ms <= now_ms then
    promote(math.min(PROMOTED_AT_MOST, math.max(PROMOTED_AT_LEAST, 2 * args.claim)))
  end
  if args.claim == 0 then
    return {}, {}, 0, 0, true
  end
  return claim(args.claim, args.claim_bytes, args.suspect, args.worker, args.lease_ms)
end

local status, answer = begin_call(args.lane, args.call)
if status == 'superseded' then
  return { status, now_ms }
end

local ids, records, fences, suspects_taken, more = {}, {}, {}, 0, true
if status == 'new' then
  answer = { refused = settle(args.settle), first_fence = 0 }
  if not is_paused() then
    ids, records, answer.first_fence, suspects_taken, more = take()
  end
  answer.ids = ids
else
  ids, fences, records = still_claimed(answer)
end

-- What there is left to do, and when there will be more.
local suspects = has(key_suspects) and redis.call('ZCARD', key_suspects) or 0
local due_ms = next_due()
more = (more and redis.call('EXISTS', key_waiting) == 1) or (due_ms and due_ms <= now_ms)
local drained = not more and not due_ms and suspects == 0 and #ids == 0
local next_at
if is_paused() then
  more = false
elseif not more and due_ms then
  next_at = hold_timer(due_ms)
end
-- Whoever blocks on the token takes what this caller has no room for. Suspects are offered on
-- only by a caller that took one: workers that are all busy with a suspect would otherwise wake
-- each other for ever.
if more or (suspects_taken > 0 and suspects > 0) then
  arm(0)
end

if status == 'new' then
  local settled = #args.settle > #answer.refused
  if settled then
    cap_completed(args.keep_count, TRIMMED_AT_MOST)
  end
  if settled and drained and active_count() == 0 then
    emit_value('drained', '')
  end
  end_call(args.lane, args.call, answer)
  flush_events()
end
local tick_ms = hold_tick()
save_meta()
return {
  status, now_ms, answer.refused, answer.first_fence, fences, ids, records, deliver(ids, records),
  more and 1 or 0, next_at or -1, suspects, tick_ms or -1,
}
