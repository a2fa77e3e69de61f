#!lua
-- Appends lines to the log of a job that runs. args: id, receipt, attempt (its number), fence, first (the number of the first line
-- within the attempt, from 1), ages_ms (for how long each line has waited to be sent). The lines are ARGV[2..].
-- Answers { 'logged' | 'lost', now_ms }. O(lines). Harmless when repeated: a line has its number within the attempt.
-- needs: arguments, refuse, attempts, job_log, whole

if queue.refuse() then
  return { 'lost', now_ms }
end

local counters = queue.read_counters(args.id)
local before = queue.logged(counters)
local last = redis.call('HGET', key.attempts, queue.log_field(args.id, before)) or ''
local fence, number = string.match(last, '^%d+ %d+ (%d+) (%d+) ')
-- Of these lines, so many are there.
local there = fence == args.fence and math.max(0, tonumber(number) - args.first + 1) or 0

local logged, fields = before, {}
for i = there + 1, #ARGV - 1 do
  logged = logged + 1
  local words = {
    queue.whole(now_ms - args.ages_ms[i]), queue.whole(args.attempt), args.fence,
    queue.whole(args.first + i - 1), ARGV[i + 1],
  }
  fields[#fields + 1] = queue.log_field(args.id, logged)
  fields[#fields + 1] = table.concat(words, ' ')
end
if #fields > 0 then
  redis.call('HSET', key.attempts, unpack(fields))
  queue.write_counters(args.id, queue.count_lines(counters, logged))
  local over = {}
  for n = queue.first_line(before), queue.first_line(logged) - 1 do
    over[#over + 1] = queue.log_field(args.id, n)
  end
  if #over > 0 then
    redis.call('HDEL', key.attempts, unpack(over))
  end
end
return { 'logged', now_ms }
