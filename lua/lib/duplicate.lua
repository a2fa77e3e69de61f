-- Jobs that are to be added while another job has their unique key (unique.lua). They are not added. If they ask for it, the
-- job that is there gets their payload and options as long as it waits and has no steps (steps.lua), which are of the payload that it has. It is then as if it had been enqueued now, but for its
-- id, its history and, if nothing asks for another one, its place. If the other job runs, or has steps, one that asks for that (`latest`) is
-- added as its successor (successor.lua); if it has a successor, that is the job that waits.
-- needs: unique, head, whole
-- rarely: emit, count, optional, attempts, steps, stamp, delayed, successor
-- with all: change, moment, debounce, expiry, types, flow

local WAITS = { waiting = true, blocked = true, delayed = true }

-- Whether a job that waits has steps. Those of flows are replaced in no case.
local function has_steps(job)
  return not queue.is_of_flow(job.record) and queue.has(key.attempts) and queue.has_steps(queue.read_counters(job.id))
end

-- The job that waits, a map as of `change`, becomes what was sent with this option and payload (false: it lies in `sent`). how:
-- `debounce`, it is due when the new one would be; otherwise it stays due when it was. Returns what `change` does.
local function replace(job, sent, payload, option, how)
  local DEFAULT_PRIORITY = 500
  queue.emit('replaced', { job.id })
  local due_ms, is_capped = queue.due_of_waiting(job), false
  if how == 'debounce' then
    due_ms, is_capped = queue.due_of_debounced(job, sent, option)
  end
  local has_left_delayed = queue.change(job, {
    rest = sent, payload = payload, enqueued = not is_capped and queue.stamp(now_ms) or nil,
    priority = option.priority or DEFAULT_PRIORITY, front = option.front,
    due_ms = due_ms,
  })
  if not job.is_successor then
    local name = queue.sent_field(sent, 'unique')
    queue.free_key(name)
    queue.give_key(name, job.id, queue.sent_field(sent, 'unique_until'))
  end
  queue.forget_expiry({ job.id })
  queue.expect_first_start(job.id, redis.call('HGET', key.jobs, job.id))
  return has_left_delayed
end

-- Returns what becomes of each of the `n` jobs that are to be added (add.lua), if another job has its key: a list with gaps of
-- what the caller is told, which is the position (from 0) and the id of that job, behind `:` if it stays as it is, behind `~` if
-- it is replaced, behind `!` if the job is of a flow that is not whole without that one (flow.lua). Jobs with known[i] are there themselves. A job that replaces one of the same call takes its position in `list`.
-- options[i].follows: the job is added as a successor.
function queue.meet(list, n, options, external, known)
  queue.check_types_to_meet(list, n, options)
  local met, first, seen, have_left_delayed = {}, {}, {}, false
  local counted = { [':'] = 0, ['~'] = 0 }

  -- The job at position `at` is to be added by this call.
  local function meet_new(at, i, how)
    how = not queue.is_sent_of_flow(list[n + 1 + at]) and how or nil
    local option, await_ms = options[i], math.max(options[at].await_ms or 0, options[i].await_ms or 0)
    if how then
      if how ~= 'debounce' then
        option.at_ms, option.delay_ms = options[at].at_ms, options[at].delay_ms
      end
      option.follows, option.waits = options[at].follows, options[at].waits
      list[n + 1 + at], external[at], options[at] = list[n + 1 + i], external[i], option
    end
    options[at].await_ms = await_ms > 0 and await_ms or nil
    return list[at + 1], how
  end

  -- Another job may have the key.
  local function meet_owner(name, i, how)
    local owner, option = queue.owner_of_key(name), options[i]
    local job = owner and how and owner.successor and queue.successor(owner.successor) or owner
    local has_begun = job and (job.state == 'active' or WAITS[job.state] and how and has_steps(job))
    if how == 'latest' and has_begun and not job.until_ms then
      option.follows, option.waits = true, true
      return nil
    end
    if job and option.await_ms and (WAITS[job.state] or job.state == 'active') then
      redis.call('ZADD', key.awaited, 'GT', queue.whole(now_ms + option.await_ms), job.id)
      queue.made(key.awaited)
    end
    if not (job and how and WAITS[job.state]) or has_begun or queue.is_of_flow(job.record) then
      return job and job.id, nil
    end
    local payload = external[i] and list[2 * n + 1 + external[i]] or false
    local has_left = replace(job, list[n + 1 + i], payload, option, how)
    have_left_delayed = have_left_delayed or has_left
    return job.id, how
  end

  local flows = queue.flows_among(list, n, options) or {}
  for i = 1, n do
    local id, sent = list[i + 1], list[n + 1 + i]
    if flows[i] then
      queue.meet_flow(flows[i], list, n, known, seen, first, met)
    end
    local name = options[i] and options[i].traits and queue.sent_field(sent, 'unique')
    if name and not met[i] and not (known and (known[i] or seen[id])) then
      local how = queue.sent_field(sent, 'on_duplicate')
      local other, is_replaced
      if first[name] and (how or not options[first[name]].follows) then
        other, is_replaced = meet_new(first[name], i, how)
      else
        other, is_replaced = meet_owner(name, i, how)
      end
      if other then
        local sign = is_replaced and '~' or ':'
        met[i] = queue.whole(i - 1) .. sign .. other
        counted[sign] = counted[sign] + 1
      else
        first[name] = i
      end
    end
    seen[id] = seen[id] or not met[i]
  end
  if have_left_delayed then
    queue.look_for_due()
  end
  queue.count('replaced', counted['~'])
  queue.count('duplicates', counted[':'])
  return met
end
