-- Jobs that are to be added while another job has their unique key (unique.lua). They are not added. If they ask for it, the
-- job that is there gets their payload and options as long as it waits. It is then as if it had been enqueued now, but for its id, its
-- history and, if nothing asks for another one, its place.
-- needs: unique, head, whole
-- rarely: emit, count, optional, stamp, delayed
-- with all: change, expiry, types

local WAITS = { waiting = true, blocked = true, delayed = true }

-- When a job that is sent with this option is due; 0 for now.
local function due_of_new(option)
  local due_ms = option.at_ms or option.delay_ms and now_ms + option.delay_ms or 0
  return due_ms > now_ms and due_ms or 0
end

-- The job that waits, a map as of `change`, becomes what was sent with this option and payload (false: it lies in `sent`). how: `replace`, it stays due
-- when it was; `debounce`, it is due when the new one would be. Returns what `change` does.
local function replace(job, sent, payload, option, how)
  local DEFAULT_PRIORITY = 500
  queue.emit('replaced', { job.id })
  local has_left_delayed = queue.change(job, {
    rest = sent, payload = payload, enqueued = queue.stamp(now_ms),
    priority = option.priority or DEFAULT_PRIORITY, front = option.front,
    due_ms = how == 'debounce' and due_of_new(option) or queue.due_of_waiting(job),
  })
  local name = queue.sent_field(sent, 'unique')
  queue.free_key(name)
  queue.give_key(name, job.id, queue.sent_field(sent, 'unique_until'))
  queue.forget_expiry({ job.id })
  queue.expect_first_start(job.id, redis.call('HGET', key.jobs, job.id))
  return has_left_delayed
end

-- Returns what becomes of each of the `n` jobs that are to be added (add.lua), if another job has its key: a list with gaps of
-- what the caller is told, which is the position (from 0) and the id of that job, behind `:` if it stays as it is, behind `~` if
-- it is replaced. Jobs with known[i] are there themselves. A job that replaces one of the same call takes its position in `list`.
function queue.meet(list, n, options, external, known)
  queue.check_types()
  local met, first, seen, have_left_delayed = {}, {}, {}, false
  local counted = { [':'] = 0, ['~'] = 0 }

  -- The job at position `at` is to be added by this call.
  local function meet_new(at, i, how)
    local option, await_ms = options[i], math.max(options[at].await_ms or 0, options[i].await_ms or 0)
    if how then
      if how == 'replace' then
        option.at_ms, option.delay_ms = options[at].at_ms, options[at].delay_ms
      end
      list[n + 1 + at], external[at], options[at] = list[n + 1 + i], external[i], option
    end
    options[at].await_ms = await_ms > 0 and await_ms or nil
    return list[at + 1], how
  end

  -- Another job may have the key.
  local function meet_owner(name, i, how)
    local id, state, score, part, record = queue.owner_of_key(name)
    local option = options[i]
    if id and option.await_ms and (WAITS[state] or state == 'active') then
      redis.call('ZADD', key.awaited, 'GT', queue.whole(now_ms + option.await_ms), id)
      queue.made(key.awaited)
    end
    if not how or not WAITS[state] then
      return id, nil
    end
    local payload = external[i] and list[2 * n + 1 + external[i]] or false
    local has_left = replace({ id = id, state = state, score = score, part = part, record = record }, list[n + 1 + i], payload, option, how)
    have_left_delayed = have_left_delayed or has_left
    return id, how
  end

  for i = 1, n do
    local id, sent = list[i + 1], list[n + 1 + i]
    local name = options[i] and options[i].traits and queue.sent_field(sent, 'unique')
    if name and not (known and (known[i] or seen[id])) then
      local how = queue.sent_field(sent, 'on_duplicate')
      local other, is_replaced
      if first[name] then
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
