#!lua flags=no-writes
-- Reads the log of a job. args: id, after (only lines with a higher number).
-- Answers { 'logs', now_ms, how many lines, and of each line: its number, the line }, oldest first. O(lines).
-- needs: arguments, attempts, job_log

local counters = queue.read_counters(args.id)
local logged, fields = queue.logged(counters), queue.log_fields({}, args.id, counters)
local lines = #fields > 0 and redis.call('HMGET', key.attempts, unpack(fields)) or {}
local answer = { 'logs', now_ms, 0 }
for i = 1, #fields do
  local number = logged - #fields + i
  if lines[i] and number > args.after then
    answer[3] = answer[3] + 1
    answer[#answer + 1] = number
    answer[#answer + 1] = lines[i]
  end
end
return answer
