-- Until when a job waits where it stands. `job` as of `change` (change.lua).
-- rarely: optional, lines, waits

-- When a job that waits is due; 0 for now.
function queue.due_of_waiting(job)
  local due_ms = 0
  if job.state == 'delayed' then
    due_ms = tonumber(queue.due_of(job.score))
  elseif job.state == 'blocked' then
    due_ms = tonumber(job.score)
  end
  return due_ms > now_ms and due_ms or 0
end

-- Until when a job is put aside (waits.lua), as text, and what it waits for; nil if it waits where it is for something else.
function queue.suspended_until(job)
  local moment = job.state == 'blocked' and '0' or job.state == 'delayed' and queue.due_of(job.score)
  if moment and queue.has(key.attempts) then
    local aside, waits = queue.read_waits(job.id)
    if aside == moment then
      return aside, waits
    end
  end
  return nil
end
