#!lua flags=allow-oom
-- Reads replies of a job (lib/job_replies.lua). If it has not ended, further replies and its outcome are announced, and its outcome is
-- kept. args: id, from (the number of the first), most and bytes (so many replies, and about so many bytes, in one answer), await_ms.
-- Answers { 'finished' | 'pending' | 'missing', now_ms, how many replies there are, outcome, last error, and the replies }; outcome and
-- last error are empty unless the job has ended and no reply is left behind these. O(replies + log N). Harmless when repeated.
-- needs: arguments, watched, attempts, job_replies
-- rarely: kept

local how, outcome, last, part, score = queue.watched(args.id, args.await_ms)
local replies = how == 'missing' and 0 or queue.replied(queue.read_counters(args.id))
local answer = { how, now_ms, replies, '', '' }
local number, bytes = args.from, 0
while number <= replies and number < args.from + args.most and bytes < args.bytes do
  -- Nobody could read an empty one: the caller is told.
  local reply = redis.call('HGET', key.attempts, queue.reply_field(args.id, number)) or ''
  answer[#answer + 1] = reply
  number, bytes = number + 1, bytes + #reply
end
if how == 'finished' then
  if number > replies then
    answer[4], answer[5] = outcome, last
  elseif part == key.kept then
    queue.keep_for_caller(args.id, score)
  end
end
return answer
