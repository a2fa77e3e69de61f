-- A hold of the whole queue: nothing is claimed until a moment, because a handler was told to wait so long. meta.paused is
-- `until <ms> <since, ms>` then, and meta.hold_ends_ms the first of these moments (meta.lua). Nobody has to end it.
-- needs: meta, whole, emit_value
-- rarely: news

-- A queue that an operator has paused is not held; a hold is never made shorter.
function queue.hold_until(until_ms)
  if meta.paused and (meta.hold_ends_ms or math.huge) >= until_ms then
    return
  end
  local text = queue.whole(until_ms)
  meta.hold_ends_ms = until_ms
  queue.set_meta('paused', 'until ' .. text .. ' ' .. now_text)
  queue.emit_value('held', text)
end

-- Forgets a pause, or a hold that is over.
function queue.end_hold()
  redis.call('HDEL', key.meta, 'paused')
  -- Meanwhile workers were told of no such jobs.
  if queue.number(meta.unhandled) > 0 then
    queue.tell_of_unhandled()
  end
end
