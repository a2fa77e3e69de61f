-- Keys that are useless in a queue that holds no job and no schedule. The next call that needs such a
-- key makes it again.
-- needs: active, meta, whole
-- rarely: rate

-- Drops it when nothing has happened for a minute; announcements when nothing has happened for
-- finished_ms, and events for a day. Redis does the latter two by itself if no worker is there then.
function queue.drop_what_serves_nothing(finished_ms)
  local QUIET_MS, EVENTS_KEPT_MS = 60000, 86400000
  if redis.call('EXISTS', key.jobs, key.schedules) > 0 then
    redis.call('PERSIST', key.events)
    redis.call('PERSIST', key.finished)
    return
  end
  -- Another program may have put another type there: then nothing is dropped.
  local newest = redis.pcall('XREVRANGE', key.events, '+', '-', 'COUNT', '1')
  if newest.err then
    return
  end
  local last_id = newest[1] and newest[1][1] or ''
  -- The clock may have gone back since, or another program may have written the entry: no later than now.
  local last_ms = math.min(now_ms, tonumber(string.match(last_id, '^%d+')) or 0)
  local function keep_until(part, until_ms)
    if until_ms > now_ms then
      redis.call('PEXPIRE', part, queue.whole(until_ms - now_ms))
    else
      redis.call('DEL', part)
    end
  end
  keep_until(key.finished, last_ms + finished_ms)
  keep_until(key.events, last_ms + EVENTS_KEPT_MS)
  -- The sentinels; but an attempt whose record another program deleted may still be under way. These
  -- never expire by themselves, because a worker that comes later depends on them.
  local is_idle = queue.active_count() == 0 and redis.call('HLEN', key.claims) <= 1
  if is_idle and now_ms - last_ms >= QUIET_MS then
    redis.call('DEL', key.active, key.claims, key.wake)
    if meta.limited then
      queue.forget_started()
    end
  end
end
