-- Takes back at most `limit` jobs whose lease ran out. args: expected_ms, tolerance_ms, limit,
-- max_stalls. Refuses itself when the server's clock is not where the caller expects it: the
-- clock jumped or Redis was away, and the leases ran out for want of Redis, not of workers.
-- Answers { 'recovered' | 'unsure', now_ms, stalled ids, dead ids }. O(n log N).
-- Harmless when repeated.

if math.abs(now_ms - args.expected_ms) > args.tolerance_ms then
  return { 'unsure', now_ms, {}, {} }
end

local ids = redis.call('ZRANGEBYSCORE', key_active, '-inf', now_ms, 'LIMIT', 0, args.limit)
if #ids == 0 then
  return { 'recovered', now_ms, {}, {} }
end

local claims = read_claims(ids)
local stalled, scores, dead, dead_ids, lost = {}, {}, {}, {}, {}
for i = 1, #ids do
  if claims[i] then
    local _, score, since_ms = unpack_claim(claims[i])
    local stalls = redis.call('HINCRBY', key_stalls, ids[i], 1)
    made_optional()
    record_attempt(ids[i], since_ms, cmsgpack.pack({ kind = 'stalled' }), 0)
    if stalls > args.max_stalls then
      dead[#dead + 1] = { id = ids[i], reason = 'poisoned' }
      dead_ids[#dead_ids + 1] = ids[i]
    else
      stalled[#stalled + 1] = ids[i]
      scores[#scores + 1] = whole(score)
    end
  else
    lost[#lost + 1] = ids[i]
  end
end

-- An id without a claim has lost its place; with a record it can still be run.
local function rescue(found)
  local rescued, options = {}, {}
  for _, id in ipairs(found) do
    local record = redis.call('HGET', key_jobs, id)
    if record then
      rescued[#rescued + 1] = id
      options[#rescued] = { priority = priority_of(record) }
    end
  end
  enter_waiting(rescued, options)
end

unlease(ids)
bury(dead)
rescue(lost)
if #stalled > 0 then
  enter_line(stalled, scores)
end
if not is_paused() then
  arm(0)
end
count('stalled', #stalled + #dead)
emit('stalled', stalled)
flush_events()
save_meta()
return { 'recovered', now_ms, stalled, dead_ids }
