-- The end of a job: completed, cancelled or dead. What somebody waits for is announced and
-- kept for a while, even when it would otherwise be removed at once.
local AWAITED_KEPT_MS = 60000
local ANNOUNCEMENTS_KEPT = 1000
local MOVES_ON = 0.5

-- Splits off those of `ids` whose outcome somebody waits for, and tells the waiters.
-- Returns a set of these ids.
local function announce(ids)
  local awaited = {}
  if #ids == 0 or not has(key_awaited) then
    return awaited
  end
  local until_ms = redis.call('ZMSCORE', key_awaited, unpack(ids))
  local names = {}
  for i = 1, #ids do
    if until_ms[i] and tonumber(until_ms[i]) > now_ms then
      awaited[ids[i]] = true
      names[#names + 1] = ids[i]
    end
  end
  if #names > 0 then
    redis.call('ZREM', key_awaited, unpack(names))
    redis.call('XADD', key_finished, 'MAXLEN', '~', ANNOUNCEMENTS_KEPT, '*',
      'ids', table.concat(names, ' '))
  end
  return awaited
end

-- How long a job is kept whose outcome somebody waits for.
local function awaited_for(keep_ms, own)
  if own or keep_ms <= AWAITED_KEPT_MS then
    return math.max(AWAITED_KEPT_MS, keep_ms)
  end
  return AWAITED_KEPT_MS + MOVES_ON
end

-- Ends jobs with the same retention. keep_ms 0 means: leave nothing behind. `own` says that the
-- job itself asks for that retention, and is not just kept as long as most. What somebody waits
-- for is kept apart from the others, whose number is capped; when the waiter has had its time,
-- trim moves what is kept as long as most (half a millisecond marks it) to the others.
local function finish(ids, outcomes, keep_ms, own)
  local n = #ids
  if n == 0 then
    return
  end
  local awaited = announce(ids)
  if keep_ms == 0 and not next(awaited) then
    return forget(ids)
  end
  local completed, answers, results, gone = {}, {}, {}, {}
  local finished_at = stamp(now_ms)
  local expiry = whole(now_ms + keep_ms)
  for i = 1, n do
    local id = ids[i]
    if awaited[id] then
      answers[#answers + 1] = now_ms + awaited_for(keep_ms, own)
      answers[#answers + 1] = id
    elseif keep_ms > 0 then
      completed[#completed + 1] = expiry
      completed[#completed + 1] = id
    else
      gone[#gone + 1] = id
    end
    if awaited[id] or keep_ms > 0 then
      results[#results + 1] = id
      results[#results + 1] = finished_at .. outcomes[i]
    end
  end
  if #completed > 0 then
    redis.call('ZADD', key_completed, unpack(completed))
  end
  if #answers > 0 then
    redis.call('ZADD', key_answers, unpack(answers))
  end
  redis.call('HSET', key_results, unpack(results))
  forget(gone)
end

-- dead: list of { id, reason }. Dead letters are never dropped on their own.
local function bury(dead)
  local n = #dead
  if n == 0 then
    return
  end
  local ids, members, results, tokens = {}, {}, {}, {}
  for i = 1, n do
    ids[i] = dead[i].id
    members[2 * i - 1] = now_ms
    members[2 * i] = dead[i].id
    results[2 * i - 1] = dead[i].id
    results[2 * i] = stamp(now_ms) .. cmsgpack.pack({ dead = dead[i].reason })
    tokens[i] = dead[i].id .. ':' .. dead[i].reason
  end
  announce(ids)
  redis.call('ZADD', key_dead, unpack(members))
  redis.call('HSET', key_results, unpack(results))
  count('dead', n)
  emit('dead', tokens)
end

-- Keeps at most `limit` completed jobs; drops at most `budget` of those nearest their expiry.
-- Returns how many were dropped.
local function cap_completed(limit, budget)
  local excess = redis.call('ZCARD', key_completed) - limit
  if excess <= 0 then
    return 0
  end
  local popped = redis.call('ZPOPMIN', key_completed, math.min(excess, budget))
  local ids = {}
  for i = 1, #popped, 2 do
    ids[#ids + 1] = popped[i]
  end
  forget(ids)
  return #ids
end
