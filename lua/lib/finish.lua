-- The end of a job, completed or cancelled. What somebody waits for, dead or not, is announced and
-- kept for a while, even when it would otherwise be removed at once.
local AWAITED_KEPT_MS = 60000
local ANNOUNCEMENTS_KEPT = 1000
local MOVES_ON = 0.5

-- Splits off those of `ids` whose outcome somebody waits for, and tells the waiters.
-- Returns a set of these ids, or nil if there are none.
function queue.announce(ids)
  if #ids == 0 or not queue.has(key.awaited) then
    return nil
  end
  local awaited = {}
  local until_ms = redis.call('ZMSCORE', key.awaited, unpack(ids))
  local names = {}
  for i = 1, #ids do
    if until_ms[i] and tonumber(until_ms[i]) > now_ms then
      awaited[ids[i]] = true
      names[#names + 1] = ids[i]
    end
  end
  if #names == 0 then
    return nil
  end
  redis.call('ZREM', key.awaited, unpack(names))
  redis.call('XADD', key.finished, 'MAXLEN', '~', ANNOUNCEMENTS_KEPT, '*',
    'ids', table.concat(names, ' '))
  return awaited
end

-- How long a job is kept whose outcome somebody waits for.
function queue.awaited_for(keep_ms, own)
  if own or keep_ms <= AWAITED_KEPT_MS then
    return math.max(AWAITED_KEPT_MS, keep_ms)
  end
  return AWAITED_KEPT_MS + MOVES_ON
end

-- Ends jobs with the same retention. keep_ms 0 means: leave nothing behind. `own` says that the
-- job itself asks for that retention, and is not just kept as long as most. What somebody waits
-- for is kept apart from the others, whose number is capped; when the waiter has had its time,
-- trim moves what is kept as long as most (half a millisecond marks it) to the others.
function queue.finish(ids, outcomes, keep_ms, own)
  if #ids == 0 then
    return
  end
  local awaited = queue.announce(ids)
  if keep_ms == 0 and not awaited then
    return queue.forget(ids)
  end
  local completed, answers, results, gone = {}, {}, {}, {}
  local finished_at, expiry = queue.stamp(now_ms), queue.whole(now_ms + keep_ms)
  for i = 1, #ids do
    local id = ids[i]
    if awaited and awaited[id] then
      local at = #answers
      answers[at + 1], answers[at + 2] = now_ms + queue.awaited_for(keep_ms, own), id
    elseif keep_ms > 0 then
      local at = #completed
      completed[at + 1], completed[at + 2] = expiry, id
    else
      gone[#gone + 1] = id
    end
    if keep_ms > 0 or awaited[id] then
      local at = #results
      results[at + 1], results[at + 2] = id, finished_at .. outcomes[i]
    end
  end
  if #completed > 0 then
    redis.call('ZADD', key.completed, unpack(completed))
  end
  if #answers > 0 then
    redis.call('ZADD', key.answers, unpack(answers))
  end
  redis.call('HSET', key.results, unpack(results))
  queue.forget(gone)
end
