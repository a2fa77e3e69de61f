-- Jobs that were handed back because a worker has no handler for them (unhandled.lua): workers are told of
-- them again, and any worker looks at those that may be too old.
-- needs: meta, whole
-- rarely: unhandled, lists, places, enter, emit, news, paused_names

-- Looks at jobs that may be too old, at most `limit`. If a worker asked for the name of a job
-- meanwhile, the job goes on waiting: that worker just has too many of them. The others go back in line,
-- where any worker takes them and decides whether they are too old. Returns how many it looked at.
function queue.offer_again(limit)
  local ids = redis.call('ZRANGEBYSCORE', key.unhandled, '-inf', now_ms, 'LIMIT', 0, limit)
  if #ids == 0 then
    return 0
  end
  local after, names = queue.names_of(ids)
  local again, later = {}, {}
  for i = 1, #ids do
    local asked_ms = names[i] and tonumber(redis.call('ZSCORE', key.asked, names[i]))
    if names[i] and meta.paused_names and queue.is_paused_offer(names[i]) then
      -- Its jobs do not grow older while they may not start.
      asked_ms = now_ms
    end
    local at_ms = asked_ms and asked_ms + after[i]
    if at_ms and at_ms > now_ms then
      queue.append(later, queue.whole(at_ms), ids[i])
    else
      again[#again + 1] = ids[i]
    end
  end
  if #later > 0 then
    redis.call('ZADD', key.unhandled, unpack(later))
  end
  if #again > 0 then
    local places = queue.places_of(again)
    for i = 1, #again do
      places[i] = places[i] or '0'
    end
    queue.leave_unhandled(again)
    queue.enter_line(again, places)
    queue.emit('waiting', again)
  end
  return #ids
end

-- Tells every worker once more. A worker that was about to go idle may have missed the news.
function queue.tell_again()
  local AT_MOST = 256
  queue.offer_again(AT_MOST)
  if queue.number(meta.unhandled) > 0 then
    queue.tell_of_unhandled()
  end
end
