-- Drops what has been kept long enough, at most `limit` of each kind. args: limit, keep_ms,
-- keep_count, lane_ttl_ms, lanes_cursor. Answers { 'trimmed', now_ms, dropped, more, lanes_cursor, dead }.
-- O(n log N). Harmless when repeated.

local LANES_PER_CALL = 128
local WORTH_IT = 8

local function drop_expired(part)
  local ids = redis.call('ZRANGEBYSCORE', part, '-inf', now_ms, 'LIMIT', 0, args.limit)
  if #ids > 0 then
    redis.call('ZREM', part, unpack(ids))
  end
  return ids
end

-- Drops the answers whose waiters have had their time, or moves them on to the other completed
-- jobs. Returns how many of either.
local function trim_answers()
  local page = redis.call('ZRANGEBYSCORE', key.answers, '-inf', now_ms, 'WITHSCORES',
    'LIMIT', 0, args.limit)
  local gone, moved = {}, {}
  for i = 1, #page, 2 do
    if tonumber(page[i + 1]) % 1 == MOVES_ON then
      moved[#moved + 1] = now_ms + math.max(0, args.keep_ms - AWAITED_KEPT_MS)
      moved[#moved + 1] = page[i]
    else
      gone[#gone + 1] = page[i]
    end
    redis.call('ZREM', key.answers, page[i])
  end
  if #moved > 0 then
    redis.call('ZADD', key.completed, unpack(moved))
  end
  queue.forget_ended(gone)
  return #page / 2
end

-- Forgets the last calls of lanes that have been silent for long. Returns the next cursor, and
-- whether the page was worth it: where lanes come and go by the thousand, one page a round is
-- slower than they do.
local function sweep_lanes()
  local page = redis.call('HSCAN', key.calls, args.lanes_cursor, 'COUNT', LANES_PER_CALL)
  local lanes, forgotten = page[2], 0
  for i = 1, #lanes, 2 do
    local last_ms = tonumber(string.match(lanes[i + 1], '^%d+ (%d+) ')) or 0
    if now_ms - last_ms > args.lane_ttl_ms then
      redis.call('HDEL', key.calls, lanes[i])
      forgotten = forgotten + 1
    end
  end
  return page[1], page[1] ~= '0' and forgotten * WORTH_IT >= #lanes / 2
end

local answers = trim_answers()
local completed = drop_expired(key.completed)
queue.forget_ended(completed)
local capped = queue.cap_completed(args.keep_count, args.limit)
local unread = drop_expired(key.awaited)
queue.drop_what_serves_nothing(args.lane_ttl_ms)

-- The queue may have been deleted, and is in use again: its lanes go one by one again (delete.lua).
redis.call('PERSIST', key.calls)
local lanes_cursor, more_lanes = sweep_lanes()
local more = more_lanes or math.max(#completed, answers, capped, #unread) >= args.limit
return {
  'trimmed', now_ms, #completed + answers + capped, more and 1 or 0, lanes_cursor,
  redis.call('ZCARD', key.dead),
}
