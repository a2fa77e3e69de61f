#!lua
-- Stores how alerts stand, each only if it still stands as the caller saw it, and adds the jobs that tell of it in the same step: so nothing is told twice, or
-- not at all. args: alerts, how many (up to 256); round, in which they were judged, and every_ms, for how long it lasts from now on (none: an operator
-- changes them); jobs, those that tell: of each { id, the position of its alert }.
-- ARGV[2..] are the names of the alerts; behind these, how each was seen, and how each is to stand, '' for not at all; and
-- behind these the records of the jobs.
-- Answers { 'stored', now_ms, verdicts }, for each alert 1, or 0 if it has changed since; or { 'over', now_ms }: another round has
-- begun, and nothing was done. O(alerts + jobs log N). Harmless when repeated: they do not stand as they were seen any more.
-- needs: arguments, alert_round, meta, emit
-- rarely: batch, head

if args.round and queue.last_round() ~= args.round then
  return { 'over', now_ms }
end

local n = args.alerts
local there = n > 0 and redis.call('HMGET', key.alerts, unpack(ARGV, 2, n + 1)) or {}
local verdicts, stored, dropped = {}, {}, {}
for i = 1, n do
  local name, seen, stands = ARGV[1 + i], ARGV[1 + n + i], ARGV[1 + 2 * n + i]
  verdicts[i] = (there[i] or '') == seen and 1 or 0
  if verdicts[i] == 1 and stands == '' then
    dropped[#dropped + 1] = name
  elseif verdicts[i] == 1 then
    stored[#stored + 1], stored[#stored + 2] = name, stands
  end
end
if #args.jobs > 0 then
  local batch = queue.new_batch()
  for i, job in ipairs(args.jobs) do
    local id, alert = unpack(job)
    if verdicts[alert] == 1 then
      local record = ARGV[1 + 3 * n + i]
      queue.add_to_batch(batch, id, record, nil, { traits = queue.has_sent_traits(record) })
    end
  end
  queue.add_batch(batch)
  queue.flush_events()
  queue.save_meta()
end
if #stored > 0 then
  redis.call('HSET', key.alerts, unpack(stored))
end
if #dropped > 0 then
  redis.call('HDEL', key.alerts, unpack(dropped))
end
if args.round then
  queue.keep_round(args.round, args.every_ms)
end
return { 'stored', now_ms, verdicts }
