-- The scores of `delayed`: when a job is due (ms), within its line. Each priority has two lines: one
-- for the jobs that go to its front, and behind it another line for all others. The lines have the order in
-- which their jobs are to be claimed, so due jobs are found in the order of their priority, however
-- many are due:
--   line * 2^42 + due;  line = 2 * (priority - 500), one less for `front`
-- So the scores of the default priority, 500, are the moments themselves. A line ends in the year
-- 2109. Above all lines are the rooms (room.lua); their names begin with `~`, as no id does.
local LAST_LINE = 1046
queue.LINE, queue.FIRST_LINE = 2 ^ 42, -1001
queue.ROOMS = (LAST_LINE + 1) * queue.LINE
queue.BELOW_ROOMS = '(' .. string.format('%d', queue.ROOMS)

-- The score of a moment in a line, as text.
function queue.score_in(line, ms)
  return string.format('%d', line * queue.LINE + ms)
end

-- The score of a job. option is a map of { due_ms, priority, front }.
function queue.delayed_score(option)
  local DEFAULT_PRIORITY = 500
  local line = 2 * ((option.priority or DEFAULT_PRIORITY) - DEFAULT_PRIORITY)
  return queue.score_in(option.front and line - 1 or line, math.min(option.due_ms, queue.LINE - 1))
end

-- Whether a delayed job with this score goes to the front of its priority.
function queue.is_to_front(score)
  return math.floor(tonumber(score) / queue.LINE) % 2 == 1
end

-- When a job with this score is due, as text.
function queue.due_of(score)
  return string.format('%d', tonumber(score) % queue.LINE)
end

function queue.delayed_count()
  return redis.call('ZCOUNT', key.delayed, '-inf', queue.BELOW_ROOMS)
end
