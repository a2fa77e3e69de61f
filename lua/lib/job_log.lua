-- The log of a job: what its handlers have said, the newest lines of it. A line is the field `<id>#log<n>` of `attempts`, so it goes
-- with whatever else is recorded of the job; how many lines there were is the seventh of the job's counters (attempts.lua).
-- needs: whole

local LINES_KEPT, LOGGED = 100, 7

-- How many lines were ever written.
function queue.logged(counters)
  local logged = counters[LOGGED]
  return type(logged) == 'number' and logged >= 0 and logged < 2 ^ 53 and logged or 0
end

function queue.log_field(id, number)
  return id .. '#log' .. queue.whole(number)
end

-- The number of the first line that is kept.
function queue.first_line(logged)
  return math.max(1, logged - LINES_KEPT + 1)
end

-- Appends the field names of the lines that are kept, oldest first.
function queue.log_fields(fields, id, counters)
  local logged = queue.logged(counters)
  for number = queue.first_line(logged), logged do
    fields[#fields + 1] = queue.log_field(id, number)
  end
  return fields
end

-- The counters with another number of lines.
function queue.count_lines(counters, logged)
  for i = #counters + 1, LOGGED - 1 do
    counters[i] = 0
  end
  counters[LOGGED] = logged
  return counters
end
