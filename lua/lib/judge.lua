-- Whether leases can be judged, that is, whether an expired lease shows that its worker is dead.
-- The lease of a dead worker runs out; but the leases of living workers
-- run out as well while Redis is away, refuses writes, or has a clock that jumps. So there are quiet
-- periods, in which no worker judges and living workers renew their leases. meta.recovery is what all workers
-- know of that: `<looked> <from> <longest> <until> <judged>`, ms. `looked`: when recovery last looked, from
-- whatever worker. `from`: no worker judges before. `longest`: the longest lease in use; it is
-- forgotten at `until` if no worker with such a lease has looked since. `judged`: when leases were
-- last judged.
-- needs: arguments, meta, whole
-- rarely: held

-- Workers in trouble put judging off for this long, and no longer: one of them may have a bad line,
-- which is no reason to leave the jobs of dead workers where they are.
local PUT_OFF_AT_MOST_MS = 30000

-- Leases that end later than they can have been set, because the clock stepped back, are set to
-- the longest lease in use, at most args.limit of them. Returns how many.
function queue.pull_back(longest_ms)
  local after = '(' .. queue.whole(now_ms + longest_ms + args.tolerance_ms)
  local far = redis.call('ZREVRANGEBYSCORE', key.active, '(+inf', after, 'LIMIT', 0, args.limit)
  queue.renew(far, longest_ms)
  return #far
end

-- Returns whether this caller may judge now, from which moment on any worker may, and how many
-- leases were pulled back.
function queue.judge()
  local number, known = queue.number, redis.call('HGET', key.meta, 'recovery') or ''
  local looked_ms, from_ms, longest_ms, until_ms, judged_ms =
    string.match(known, '^(%d+) (%d+) (%d+) (%d+) (%d+)')
  looked_ms, from_ms = number(looked_ms), number(from_ms)
  longest_ms, until_ms = number(longest_ms), number(until_ms)
  judged_ms = math.min(number(judged_ms), now_ms)

  if args.lease_ms >= longest_ms or now_ms > until_ms then
    longest_ms, until_ms = args.lease_ms, now_ms + args.lease_ms
  end
  until_ms = math.min(until_ms, now_ms + longest_ms)
  local pulled = queue.pull_back(longest_ms)

  local back = looked_ms - now_ms > args.tolerance_ms
  local gap = now_ms - looked_ms > args.gap_ms
  if back or gap or args.doubt == 'jumped' or pulled > 0 then
    from_ms, judged_ms = now_ms + args.quiet_ms, now_ms
  elseif args.doubt == 'away' and now_ms - judged_ms < PUT_OFF_AT_MOST_MS then
    from_ms = now_ms + args.quiet_ms
  end
  -- A clock that stepped back must not make the quiet longer.
  from_ms = math.min(from_ms, now_ms + args.quiet_ms)

  local sure = now_ms >= from_ms and math.abs(now_ms - args.expected_ms) <= args.tolerance_ms
  if sure then
    judged_ms = now_ms
  end
  local whole = queue.whole
  queue.set_meta('recovery', table.concat({
    whole(now_ms), whole(from_ms), whole(longest_ms), whole(until_ms), whole(judged_ms),
  }, ' '))
  return sure, from_ms, pulled
end
