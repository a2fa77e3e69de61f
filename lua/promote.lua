#!lua flags=allow-oom
-- Moves at most `limit` due jobs to `waiting`, and at most `limit` unhandled jobs that may be too old
-- by now (lib/overdue.lua). args: limit, worker, hold. Workers promote when they claim; this verb serves a queue whose workers
-- are all busy. Answers { 'promoted', now_ms, how many, tick, whether the queue has schedules }. O((n + lines) log N). Harmless
-- when repeated.
-- needs: arguments, meta, whole
-- rarely: promote, overdue, arm, emit, tick, expire, expiry, drained, types, far_types, news

-- Even if meta is lost, no job that is to expire is forgotten.
if not meta.expiring then
  queue.look_for_expiring()
end
if meta.expiring or meta.gated then
  queue.check_types()
  queue.check_outbox()
end
-- Also while the queue is paused: callers wait for jobs that are not to start any more.
local expired = meta.expiring and queue.number(meta.expiring) <= now_ms and queue.expire(args.limit) or 0
local moved = 0
if not meta.paused then
  moved = math.max(#queue.promote(args.limit), queue.offer_again(args.limit))
end
-- If another program or an eviction took the queue's own numbers, no worker would hear of unhandled jobs.
local is_untold = not meta.unhandled and redis.call('EXISTS', key.unhandled) == 1
if is_untold then
  queue.tell_of_unhandled()
end
if (moved > 0 or is_untold) and not meta.paused then
  queue.arm(0)
end
if expired > 0 then
  queue.say_if_drained()
end
queue.flush_events()
local tick_ms = meta.tick and queue.hold_tick()
queue.save_meta()
return { 'promoted', now_ms, math.max(moved, expired), tick_ms or -1, redis.call('EXISTS', key.schedules) }
