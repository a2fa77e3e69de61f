-- Takes back at most `limit` jobs whose lease ran out. args: expected_ms, tolerance_ms, limit,
-- max_stalls. Refuses itself when the server's clock is not where the caller expects it: the
-- clock jumped or Redis was away, and the leases ran out for want of Redis, not of workers.
-- Answers { 'recovered' | 'unsure', now_ms, stalled ids, dead ids }. O(n log N).
-- Harmless when repeated.

if math.abs(now_ms - args.expected_ms) > args.tolerance_ms then
  return { 'unsure', now_ms, {}, {} }
end

local ids = redis.call('ZRANGEBYSCORE', key.active, '-inf', now_ms, 'LIMIT', 0, args.limit)
if #ids == 0 then
  return { 'recovered', now_ms, {}, {} }
end

local claims = redis.call('HMGET', key.claims, unpack(ids))
local stalls = redis.call('HMGET', key.stalls, unpack(ids))
local places = queue.places_of(ids)
local stalled, scores, dead, dead_ids = {}, {}, {}, {}
for i = 1, #ids do
  -- An id without a record cannot be run: somebody else wrote to our keys.
  if places[i] then
    local times = queue.number(stalls[i]) + 1
    redis.call('HSET', key.stalls, ids[i], queue.whole(times))
    queue.made(key.stalls)
    local since_ms = queue.claimed_since(claims[i] or '')
    queue.record_attempt(ids[i], since_ms, cmsgpack.pack({ kind = 'stalled' }), 0)
    if times > args.max_stalls then
      dead[#dead + 1] = { id = ids[i], reason = 'poisoned' }
      dead_ids[#dead_ids + 1] = ids[i]
    else
      stalled[#stalled + 1] = ids[i]
      scores[#stalled] = places[i]
    end
  end
end

queue.unlease(ids)
queue.bury(dead)
queue.enter_line(stalled, scores)
if not meta.paused then
  queue.arm(0)
end
queue.count('stalled', #stalled + #dead)
queue.emit('stalled', stalled)
queue.flush_events()
queue.save_meta()
return { 'recovered', now_ms, stalled, dead_ids }
