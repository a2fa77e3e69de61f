-- Attempts that end because their job waits: for a moment, a signal (steps.lua), or children (spawned.lua). The job is delayed until the first of
-- these moments, or, if there is none, blocked until it is told (signal.lua, spawned.lua), and by no gate (gate.lua). If what it waits for
-- is there by now, because it came between the step and the end of the attempt, the job gets in line at once.
-- needs: meta, whole
-- rarely: attempts, steps, waits, spawned

-- When the first of these steps is due: 0 if none ever is, now if one of them has its answer, or is lost.
local function first_due(id, steps)
  local first_ms = 0
  for _, n in ipairs(steps) do
    local stored = redis.call('HGET', key.attempts, queue.step_field(id, n))
    local step = queue.read_step(stored)
    local waits = step and (step.kind == 'wait' or step.kind == 'sleep'
      or step.kind == 'children' and not queue.is_wait_for_children_over(stored))
    if not waits then
      return now_ms
    end
    if step.due_ms > 0 then
      first_ms = first_ms == 0 and step.due_ms or math.min(first_ms, step.due_ms)
    end
  end
  return first_ms
end

-- others: as of settle_others (outcome.lua); `steps` are the numbers of the steps that a job waits for. Each gets its after_ms,
-- or the outcome `untold`.
function queue.find_ends_of_waits(others)
  for _, other in ipairs(others) do
    if other.outcome == 'suspended' then
      local due_ms = first_due(other.id, other.steps)
      other.after_ms = math.max(0, due_ms - now_ms)
      if due_ms == 0 then
        other.outcome = 'untold'
      end
      local counters = queue.read_counters(other.id)
      queue.write_counters(other.id, queue.count_steps(counters, queue.stepped(counters)))
      local _, waits = queue.read_waits(other.id)
      local is_aside = due_ms == 0 or due_ms > now_ms
      queue.write_waits(other.id, is_aside and queue.whole(due_ms) or '-', waits)
    end
  end
end

function queue.block_until_told(ids)
  local members = {}
  for i = 1, #ids do
    members[2 * i - 1], members[2 * i] = '0', ids[i]
  end
  redis.call('ZADD', key.blocked, unpack(members))
  if not meta.blocked then
    queue.set_meta('blocked', '1')
  end
end
