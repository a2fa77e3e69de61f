-- Children (children.lua) that a job has added while it ran (spawn.lua). In their heads (head.lua) they say which step of their parent
-- waits for them: `of_step`. The blob of that step (steps.lua), which has the kind `children`, is `<first> <count> <open>`: the
-- number of the first of its children, how many there are, and how many are open; and then, each behind a space, the numbers of
-- those whose death ends the wait (`on_death` is `fail`), until they are replayed and end. These children are not among the open
-- ones in `#children`: their parent has run, and does not wait for all of its children, but for those of the steps at which it was
-- put aside (suspended.lua).
-- needs: steps, whole
-- rarely: waits, lines, wake

-- `<kind, .., name> <first> <count> `, how many are open, and the numbers; nil for another step.
local function read_step(stored)
  return string.match(stored or '', '^(children %d+ %d+ %S+ %d+ %d+ )(%d+)(.*)$')
end

-- The number of the first child that a step has added, and how many they are.
function queue.children_of_step(stored)
  local first, count = string.match(stored or '', '^children %d+ %d+ %S+ (%d+) (%d+) ')
  return tonumber(first or 0), tonumber(count or 0)
end

-- Whether the wait of a step is over, by what is stored of it.
function queue.is_wait_for_children_over(stored)
  local _, open, failed = read_step(stored)
  return open == nil or tonumber(open) == 0 or failed ~= ''
end

-- News of the child of this number, as text, for the step n of its parent: it is not open any more, or its death ends the wait. Appends
-- the parent to the list `told` if it may go on now.
function queue.tell_step(parent, n, number, has_ended, fails, told)
  local field = queue.step_field(parent, n)
  local head, open, failed = read_step(redis.call('HGET', key.attempts, field))
  if not head then
    return
  end
  local mark = ' ' .. number .. ' '
  local at = string.find(failed .. ' ', mark, 1, true)
  if has_ended then
    open = queue.whole(math.max(0, open - 1))
    failed = at and string.sub(failed, 1, at - 1) .. string.sub(failed, at + #mark - 1) or failed
  elseif fails and not at then
    failed = failed .. ' ' .. number
  end
  redis.call('HSET', key.attempts, field, head .. open .. failed)
  if has_ended and open == '0' or fails and not at then
    told[#told + 1] = parent
  end
end

-- Those of these jobs that are put aside get in line. It is done last: their own attempts may have ended in the same call.
function queue.wake_parents(ids)
  for _, id in ipairs(ids) do
    local aside = queue.read_waits(id)
    local part = aside == '0' and key.blocked or key.delayed
    local score = aside ~= '-' and redis.call('ZSCORE', part, id)
    local record = score and (aside == '0' or queue.due_of(score) == aside) and redis.call('HGET', key.jobs, id)
    if record then
      queue.wake(id, record, part)
    end
  end
end
