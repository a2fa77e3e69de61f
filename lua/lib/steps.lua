-- Durable steps of a job: what its handler has done, and need not do again. A step is the field `<id>#step<n>` of `attempts`:
-- `<kind> <when it was stored, ms> <due, ms, or 0> <name> <blob>`; n is the order in which the handler calls them, from 1. The
-- kinds: `done` (the blob is the output), `sleep` (until it is due), `wait` (for a signal, until it is due, or without end),
-- `signal` (the blob is the value that came), `over` (none came in time) and `children` (for children: spawned.lua); and of a saga (saga.lua) `begun`, `failed` (the blob is the
-- error), `undone` and `skipped` (the blob is the output). `<id>#cursor` is the checkpoint, and `<id>#waits`
-- what the job waits for (waits.lua). All of it goes with whatever else is recorded of the job; the largest n is the eighth of
-- the job's counters (attempts.lua), which are there as soon as anything of it is.
-- needs: whole

-- The number of the last step.
function queue.stepped(counters)
  local STEPS, AT_MOST = 8, 256
  local steps = counters[STEPS]
  return type(steps) == 'number' and steps >= 0 and math.min(steps, AT_MOST) or 0
end

-- Whether a job with these counters has stored a step, or a checkpoint.
function queue.has_steps(counters)
  local STEPS = 8
  return counters[STEPS] ~= nil
end

function queue.step_field(id, n)
  return id .. '#step' .. queue.whole(n)
end

-- Appends the names of all fields that there may be.
function queue.step_fields(fields, id, counters)
  for n = 1, queue.stepped(counters) do
    fields[#fields + 1] = queue.step_field(id, n)
  end
  fields[#fields + 1] = id .. '#cursor'
  fields[#fields + 1] = id .. '#waits'
  fields[#fields + 1] = id .. '#undo'
end

-- The counters of a job whose last step has this number.
function queue.count_steps(counters, last)
  local STEPS = 8
  for i = #counters + 1, STEPS - 1 do
    counters[i] = 0
  end
  counters[STEPS] = last
  return counters
end

-- Of a step that is stored: a map of { kind, due_ms (0: without end), name }; nil if there is none that can be read.
function queue.read_step(stored)
  local kind, due, name = string.match(stored or '', '^(%l+) %d+ (%d+) (%S+) ')
  return kind and { kind = kind, due_ms = tonumber(due), name = name }
end

function queue.step_text(step, blob)
  return table.concat({ step.kind, now_text, queue.whole(step.due_ms), step.name, blob }, ' ')
end
