#!lua flags=allow-oom
-- Takes back at most `limit` jobs whose lease has been over for tolerance_ms: the server's clock may be wrong
-- by that much unnoticed. args: expected_ms (what the server's clock should show,
-- 0 if the caller does not know), tolerance_ms, limit, lease_ms (the caller's), gap_ms
-- (if no worker looked for longer, living workers may have had no chance to renew), quiet_ms (how long
-- they then get for that), doubt ('none' | 'away' | 'jumped': what the caller saw since it last looked).
-- Answers { 'recovered', now_ms, stalled ids, dead ids, cancelled ids, to_carry }: those that were to be cancelled end so; or { 'unsure',
-- now_ms, from_ms, pulled, to_carry }: no lease was judged, no worker judges before from_ms, and `pulled` leases were shortened.
-- to_carry: 1 if messages for other queues wait (lib/outbox.lua), and 2 if the
-- queue is subscribed to topics (lib/subscribed.lua), or both. O(n log N). Harmless when repeated.
-- needs: arguments, meta, whole, judge
-- rarely: places, attempts, held, optional, settings, bury, said, claims, enter, count, emit, arm
-- rarely: drained, requests, cancelled, head, leave, types, far_types, saga

local sure, from_ms, pulled = queue.judge()
if not sure then
  queue.save_meta()
  return { 'unsure', now_ms, from_ms, pulled, redis.call('EXISTS', key.outbox) + 2 * redis.call('EXISTS', key.subscribed) }
end

local over = queue.whole(now_ms - args.tolerance_ms)
local ids = redis.call('ZRANGEBYSCORE', key.active, '-inf', over, 'LIMIT', 0, args.limit)
if #ids == 0 then
  queue.save_meta()
  return { 'recovered', now_ms, {}, {}, {}, redis.call('EXISTS', key.outbox) + 2 * redis.call('EXISTS', key.subscribed) }
end

local claims = redis.call('HMGET', key.claims, unpack(ids))
local stalls = redis.call('HMGET', key.stalls, unpack(ids))
local places, records = queue.places_of(ids)
queue.check_types_for(records)
queue.check_outbox()
local leaving = {}
-- Why a saga is undone on which workers died so often.
local function died(times)
  return cmsgpack.pack({ cancelled = 'its worker died ' .. queue.whole(times) .. ' times while it ran' })
end
local requests, sagas, max_stalls = {}, {}, queue.setting('max_stalls')
if queue.has(key.attempts) then
  requests, sagas = queue.take_requests(ids)
end
local stalled, scores, dead, dead_ids = {}, {}, {}, {}
local cancelled, outcomes, poisoned = {}, {}, cmsgpack.pack({ dead = 'poisoned' })
for i = 1, #ids do
  -- An id without a record cannot be run: another program wrote to our keys.
  if places[i] then
    local times = queue.number(stalls[i]) + 1
    redis.call('HSET', key.stalls, ids[i], queue.whole(times))
    queue.made(key.stalls)
    local since_ms = queue.claimed_since(claims[i] or '')
    queue.record_attempt(ids[i], since_ms, cmsgpack.pack({ kind = 'stalled' }), 0)
    local saga = sagas[ids[i]]
    local why = requests[i] or times > max_stalls and died(times)
    if saga and why and queue.goes_forward(saga) then
      queue.begin_undo(ids[i], why)
    end
    -- A saga may stall as often once more while it is undone.
    local most = saga and 2 * max_stalls + 1 or max_stalls
    if requests[i] and not saga then
      cancelled[#cancelled + 1], outcomes[#outcomes + 1] = ids[i], requests[i]
    elseif times > most then
      dead[#dead + 1] = { id = ids[i], reason = 'poisoned' }
      dead_ids[#dead_ids + 1] = ids[i]
    else
      stalled[#stalled + 1] = ids[i]
      scores[#stalled] = places[i]
    end
    if queue.has_traits(records[i]) then
      local to = cancelled[#cancelled] == ids[i] and 'ended' or dead_ids[#dead_ids] == ids[i] and 'dead' or 'waiting'
      leaving[#leaving + 1] = { id = ids[i], record = records[i], from = 'active', to = to, outcome = requests[i] or poisoned }
    end
  end
end

queue.unlease(ids)
queue.bury(dead)
if #cancelled > 0 then
  queue.end_cancelled(cancelled, outcomes, redis.call('HMGET', key.jobs, unpack(cancelled)))
end
queue.unsay_progress(stalled)
queue.enter_line(stalled, scores)
if #leaving > 0 then
  queue.leave(leaving)
end
if not meta.paused then
  queue.arm(0)
end
queue.count('stalled', #stalled + #dead + #cancelled)
queue.emit('stalled', stalled)
if #dead + #cancelled > 0 then
  queue.say_if_drained()
end
queue.flush_events()
queue.save_meta()
return { 'recovered', now_ms, stalled, dead_ids, cancelled, redis.call('EXISTS', key.outbox) + 2 * redis.call('EXISTS', key.subscribed) }
