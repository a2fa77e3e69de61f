#!lua
-- Stores replies of a job that runs (lib/job_replies.lua), and tells the callers that wait for it. args: id, receipt, first (the number
-- of the first one, within the job). The replies are ARGV[2..].
-- Answers { 'stored' | 'lost' | 'full', now_ms }, or { 'gap', now_ms, how many there are }: the one before the first is not there (any
-- more). O(replies). Harmless when repeated: the first reply of a number stays.
-- needs: arguments, refuse, attempts, job_replies

-- As many as finish.lua keeps.
local ANNOUNCEMENTS_KEPT = 1000

if queue.refuse() then
  return { 'lost', now_ms }
end
local counters = queue.read_counters(args.id)
local before, bytes = queue.replied(counters)
if args.first > before + 1 then
  return { 'gap', now_ms, before }
end
if args.first + #ARGV - 2 > queue.REPLIES_MAX then
  return { 'full', now_ms }
end

local replies, fields = before, {}
for i = before - args.first + 2, #ARGV - 1 do
  replies, bytes = replies + 1, bytes + #ARGV[i + 1]
  fields[#fields + 1] = queue.reply_field(args.id, replies)
  fields[#fields + 1] = ARGV[i + 1]
end
if #fields > 0 then
  local until_ms = redis.call('ZSCORE', key.awaited, args.id)
  if until_ms and tonumber(until_ms) > now_ms then
    -- First, because it fails if another program has put another type there.
    redis.call('XADD', key.finished, 'MAXLEN', '~', ANNOUNCEMENTS_KEPT, '*', 'ids', args.id)
  end
  redis.call('HSET', key.attempts, unpack(fields))
  queue.write_counters(args.id, queue.count_replies(counters, replies, bytes))
end
return { 'stored', now_ms }
