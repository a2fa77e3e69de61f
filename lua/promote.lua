#!lua flags=allow-oom
-- Moves at most `limit` due jobs to `waiting`, and at most `limit` unhandled jobs that may be too old
-- by now (lib/overdue.lua). args: limit, worker, hold. Workers promote when they claim; this verb serves a queue whose workers are all busy. Answers { 'promoted', now_ms, how many,
-- tick, whether the queue has schedules }. O((n + lines) log N). Harmless when repeated.
-- needs: arguments, meta
-- rarely: promote, overdue, arm, emit, tick

local moved = 0
if not meta.paused then
  moved = math.max(#queue.promote(args.limit), queue.offer_again(args.limit))
  if moved > 0 then
    queue.arm(0)
  end
  queue.flush_events()
end
local tick_ms = meta.tick and queue.hold_tick()
queue.save_meta()
return { 'promoted', now_ms, moved, tick_ms or -1, redis.call('EXISTS', key.schedules) }
