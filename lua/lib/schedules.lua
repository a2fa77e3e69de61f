-- A schedule is four fields of `schedules` and one member of `ticks`. Under its name lies its rule,
-- which only clients read; under `<name>#job` the record of the jobs it makes, as a client sends it,
-- with `<name>#payload` if that is large; under `<name>#state` a list (STATE). Its score in `ticks`
-- is its next tick, ms; +inf while it has none.
-- rarely: whole
-- shares: REVISION, PAUSED, FIRED, MISSED, OVERLAPPED, LAST_MS, OUTCOME, LAST_JOB

-- Positions in the state. The revision changes with every change but a tick.
local REVISION, PAUSED, FIRED, MISSED = 1, 2, 3, 4
local OVERLAPPED, LAST_MS, OUTCOME, LAST_JOB = 5, 6, 7, 8

function queue.job_field(name)
  return name .. '#job'
end

function queue.payload_field(name)
  return name .. '#payload'
end

function queue.state_field(name)
  return name .. '#state'
end

-- The score of a schedule with this tick, or without one, as text.
function queue.tick_score(ms)
  return ms and queue.whole(ms) or '+inf'
end
