-- Jobs that are to be added while another job has their unique key (unique.lua). They are not added. If they ask for it, the
-- job that is there gets their payload and options as long as it waits (replace.lua).
-- needs: unique, head, whole
-- rarely: emit, count, optional
-- with all: replace

local WAITS = { waiting = true, blocked = true, delayed = true }

-- Returns what becomes of each of the `n` jobs that are to be added (add.lua), if another job has its key: a list with gaps of
-- what the caller is told, which is the position (from 0) and the id of that job, behind `:` if it stays as it is, behind `~` if
-- it is replaced. Jobs with known[i] are there themselves. A job that replaces one of the same call takes its position in `list`.
function queue.meet(list, n, options, external, known)
  local met, first, seen, replaced = {}, {}, {}, {}
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
    local id, state, score, part = queue.owner_of_key(name)
    local option = options[i]
    if id and option.await_ms and (WAITS[state] or state == 'active') then
      redis.call('ZADD', key.awaited, 'GT', queue.whole(now_ms + option.await_ms), id)
      queue.made(key.awaited)
    end
    if not how or not WAITS[state] then
      return id, nil
    end
    local payload = external[i] and list[2 * n + 1 + external[i]]
    queue.replace({ id = id, state = state, score = score, part = part },
      { sent = list[n + 1 + i], payload = payload, option = option, how = how })
    replaced[#replaced + 1] = id
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
  queue.emit('replaced', replaced)
  queue.count('replaced', counted['~'])
  queue.count('duplicates', counted[':'])
  return met
end
