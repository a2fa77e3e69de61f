#!lua flags=allow-oom
-- Drops what has been kept long enough, at most `limit` of each kind, and lets jobs go on that nothing holds back any more, of at
-- most `limit` gates. args: limit, lane_ttl_ms,
-- lanes_cursor. Answers { 'trimmed', now_ms, dropped, more, lanes_cursor, dead, whether the settings
-- of the queue cannot be read, dead letters that were dropped }. O(n log N). Harmless when repeated.
-- needs: arguments, meta, whole, settings, cap, forget, idle, readable
-- rarely: kept, remembered, tend_gates, paces, emit, types, far_types, cap_dead, draft

local LANES_PER_CALL = 128
local WORTH_IT = 8

local function drop_until(part, until_ms)
  local ids = redis.call('ZRANGEBYSCORE', part, '-inf', queue.whole(until_ms), 'LIMIT', 0, args.limit)
  if #ids > 0 then
    redis.call('ZREM', part, unpack(ids))
  end
  return ids
end

-- Drops what was kept apart for as long as it had to be, or moves it to the other completed jobs, by
-- the moment at which it ended. Returns how many of either.
local function trim_kept()
  local page = redis.call('ZRANGEBYSCORE', key.kept, '-inf', now_ms, 'WITHSCORES',
    'LIMIT', 0, args.limit)
  local gone, moved = {}, {}
  for i = 1, #page, 2 do
    local id, ended_ms = page[i], queue.end_of_moving(tonumber(page[i + 1]))
    if ended_ms then
      moved[#moved + 1], moved[#moved + 2] = queue.whole(ended_ms), id
    else
      gone[#gone + 1] = id
    end
    redis.call('ZREM', key.kept, id)
  end
  if #moved > 0 then
    redis.call('ZADD', key.completed, unpack(moved))
  end
  queue.forget_ended(gone)
  return #page / 2
end

-- Forgets the last calls of lanes that have been silent for long. Returns the next cursor, and
-- whether the next page should follow at once: where lanes come and go by the thousand, one page a round is
-- slower than they do.
local function sweep_lanes()
  local cursor, lanes = unpack(redis.call('HSCAN', key.calls, args.lanes_cursor, 'COUNT', LANES_PER_CALL))
  local forgotten = 0
  for i = 1, #lanes, 2 do
    local last_ms = tonumber(string.match(lanes[i + 1], '^%d+ (%d+) ')) or 0
    if now_ms - last_ms > args.lane_ttl_ms then
      redis.call('HDEL', key.calls, lanes[i])
      forgotten = forgotten + 1
    end
  end
  return cursor, cursor ~= '0' and forgotten * WORTH_IT >= #lanes / 2
end

local has_traits = redis.call('EXISTS', key.gates, key.unique, key.blocked, key.blocked_by, key.running, key.remembered) > 0
if has_traits or meta.far then
  queue.check_types()
  queue.check_outbox()
end
local kept = trim_kept()
local completed = drop_until(key.completed, now_ms - queue.setting('keep_completed_ms'))
queue.forget_ended(completed)
local capped = queue.cap_completed(args.limit)
local dead_dropped = queue.cap_dead(args.limit)
local unread = drop_until(key.awaited, now_ms)
local remembered = has_traits and queue.forget_keys(args.limit) or 0
local drafts = redis.call('EXISTS', key.drafts, key.staged) > 0 and queue.drop_drafts(args.limit) or 0
queue.drop_what_serves_nothing(args.lane_ttl_ms)
local has_paces = meta.paced or redis.call('EXISTS', key.paced) == 1
local paced = has_paces and queue.look_at_paced(args.limit) or 0
queue.tend_gates(args.limit)
queue.flush_events()
queue.save_meta()

-- The queue may have been deleted, and is in use again: its lanes go one by one again (delete.lua).
redis.call('PERSIST', key.calls)
redis.call('PERSIST', key.sources)
local lanes_cursor, more_lanes = sweep_lanes()
local more = more_lanes or math.max(#completed, kept, capped, dead_dropped, #unread, remembered, paced, drafts)
  >= args.limit
return {
  'trimmed', now_ms, #completed + kept + capped, more and 1 or 0, lanes_cursor,
  redis.call('ZCARD', key.dead), queue.is_readable(meta.settings) and 0 or 1, dead_dropped,
}
