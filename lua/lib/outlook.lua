-- What an answer tells a worker about work that is left.
-- needs: arguments, meta, whole, optional
-- rarely: timer, opening, limit, news

-- claimed: what the call has claimed; due_ms: when the next delayed job is due, or nil. Returns whether more could be
-- claimed right now; when the caller has to be back, if that is its duty; how many suspects wait; the news of
-- unhandled jobs (news.lua), 0 for none; whether nothing waits any more and nothing was claimed; and whether limits of
-- the queue hold back what waits.
function queue.outlook(claimed, due_ms)
  if not args.hold and meta.timer then
    queue.leave_timer_to_others()
  end
  if meta.expiring then
    due_ms = math.min(due_ms or math.huge, queue.number(meta.expiring))
  end
  if meta.paced and meta.blocked then
    due_ms = math.min(due_ms or math.huge, queue.number(meta.paced))
  end
  local suspects = queue.has(key.suspects) and redis.call('ZCARD', key.suspects) or 0
  local more = claimed.more
  if more == nil then
    more = redis.call('EXISTS', key.waiting) == 1
  end
  -- While names are paused, the script without all keys claims nothing (advance.lua).
  more = more or (due_ms and due_ms <= now_ms)
    or meta.paused_names and not args.traits and suspects > 0 and args.suspect > 0
  local news = queue.number(meta.unhandled)
  local is_drained = not more and not due_ms and suspects == 0 and #claimed.ids == 0 and news == 0 and not meta.blocked
  local waits = more or suspects > 0 or news > 0
  if meta.paused then
    local ends_ms, is_busy = meta.hold_ends_ms, #claimed.ids >= args.claim
    local next_at_ms = ends_ms and queue.come_back_at(ends_ms, waits, due_ms, is_busy)
    return false, next_at_ms, suspects, 0, is_drained
  end
  if meta.limited then
    local held, next_at_ms = queue.held_back(waits, due_ms, #claimed.ids >= args.claim)
    if held then
      if claimed.offers_left and news > 0 then
        queue.set_meta('offers_held', '1')
      end
      return false, next_at_ms, suspects, news, is_drained, true
    end
    -- The limits held back unhandled jobs from a worker that has handlers for them, and do not any more: all workers are told.
    if news > 0 and not more and redis.call('HDEL', key.meta, 'offers_held') == 1 then
      queue.tell_of_unhandled()
      news = queue.number(meta.unhandled)
    end
  end
  local next_at_ms = not more and due_ms and queue.hold_timer(due_ms) or nil
  return more, next_at_ms, suspects, news, is_drained
end
