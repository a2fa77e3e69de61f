-- Successors: jobs that wait until the job that has their unique key (unique.lua), and runs, has ended. A key has one successor
-- at most: a further duplicate replaces it (duplicate.lua). The hash `unique` names it under `<key> next`; no key has a space
-- in it. It is `blocked`, and not `blocked_by` a gate: it comes to its gate when the key is free.
-- needs: head, places
-- rarely: unique, blocked, order, line_up, opening, arm, meta

-- The job `id`, which is named as a successor, a map as of `change`; nil if it does not wait: another program took it away.
function queue.successor(id)
  local score = redis.call('ZSCORE', key.blocked, id)
  local record = score and redis.call('HGET', key.jobs, id)
  if not (record and queue.place_in(record)) then
    return nil
  end
  return { id = id, state = 'blocked', score = score, part = key.blocked, record = record, is_successor = true }
end

-- Whether a job is named as a successor, and the job that it waits for is there.
function queue.is_successor(id, record)
  local name = queue.field_of(record, 'unique')
  if not name then
    return false
  end
  local owner, next_id = unpack(redis.call('HMGET', key.unique, name, name .. ' next'))
  return next_id == id and owner and redis.call('HEXISTS', key.jobs, owner) == 1
end

-- A job, a map as of `successor`, waits for nothing else any more: it gets in line at this place, or is delayed.
local function go_on(job, place)
  local id, due_ms = job.id, tonumber(job.score)
  local priority = queue.priority_at(place)
  local first = queue.first_places({ { priority = priority } })[1]
  local is_due = due_ms <= now_ms
  queue.line_up(id, job.record, place, {
    due_ms = is_due and 0 or due_ms, priority = priority, front = tonumber(place) < tonumber(first),
  }, is_due or queue.field_of(job.record, 'order') ~= nil)
  if is_due and not meta.paused then
    local arm = meta.limited and queue.arm_for_new_job or queue.arm
    arm(0)
  end
end

-- The key is free: its successor `id` has it now, and gets in line, at the place that it was given when it was enqueued. Returns
-- whether it does.
function queue.let_successor_go(name, id)
  redis.call('HDEL', key.unique, name .. ' next')
  local job = queue.successor(id)
  if not job then
    return false
  end
  redis.call('ZREM', key.blocked, id)
  queue.look_for_blocked()
  queue.give_key(name, id, queue.field_of(job.record, 'unique_until'))
  go_on(job, queue.place_in(job.record))
  return true
end

-- The children of a job have ended (children.lua), or one of them lets it go on: it gets in line, at its place.
function queue.let_parent_go(id)
  local job = queue.successor(id)
  if job then
    redis.call('ZREM', key.blocked, id)
    queue.look_for_blocked()
    go_on(job, queue.places_of({ id })[1])
  end
end
