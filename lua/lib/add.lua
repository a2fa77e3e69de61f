-- New jobs: those that clients send, and those that schedules make.
-- needs: meta, whole, arm, count, emit, enter, order, record
-- rarely: optional, lists, head, opening
-- with all: hold, gated, unique, duplicate, expiry, flow

-- Adds `n` jobs. Their ids are list[2..], their records follow the ids, and large payloads the
-- records: external[i] says which of these belongs to job i. options[i] is what is not default about
-- job i, { delay_ms | at_ms, priority, front, await_ms, traits, callbacks }, to which due_ms is added. traits: the record has some
-- (head.lua). unsure: some of them may be there already; otherwise that is not looked up. Returns the positions (from 0) of ids
-- that were there, and what duplicate.lua says of jobs whose key another job has; and how many records were replaced.
--
-- An id that was made for its job may be there all the same: two producers made the same one. That is counted as `clashed`. If
-- one job is stored, Redis says so before it writes; if several are, only afterwards. Neither costs a command.
function queue.add(list, n, options, external, unsure)
  -- Sorts the jobs out: positions of those that are there already, get in line, are not due.
  local known = unsure and redis.call('HMGET', key.jobs, unpack(list, 2, n + 1))
  local there, waiting, delayed, seen = {}, {}, {}, {}
  local clashed, replaced = 0, 0
  local met = options.traits and queue.meet(list, n, options, external, known)
  for i = 1, n do
    local id, option = list[i + 1], options[i]
    if met and met[i] then
      there[#there + 1] = met[i]
    elseif known and (known[i] or seen[id]) then
      there[#there + 1] = i - 1
    else
      seen[id] = known
      local line = waiting
      if option then
        option.due_ms = option.at_ms or option.delay_ms and now_ms + option.delay_ms or 0
        -- A job with an order takes its place there now, whenever it is due; one that waits for others that in line.
        local is_placed = option.waits or option.traits and queue.sent_field(list[n + 1 + i], 'order')
        line = option.due_ms > now_ms and not is_placed and delayed or waiting
      end
      line[#line + 1] = i
    end
  end

  -- Stores the jobs at `positions`. Returns their ids, and each with its record; nil if it is one job, whose id was there.
  local function store(positions, places)
    local ids, fields, payloads, awaited = {}, {}, {}, {}
    local inline, apart = queue.record_head(false), next(external) and queue.record_head(true)
    for k = 1, #positions do
      local i = positions[k]
      local id, head = list[i + 1], external[i] and apart or inline
      if options[i] and options[i].traits then
        head = queue.record_head(external[i], true)
      end
      ids[k] = id
      fields[2 * k - 1], fields[2 * k] = id, head .. places[k] .. ' ' .. list[n + 1 + i]
      if external[i] then
        queue.append(payloads, id, list[2 * n + 1 + external[i]])
      end
      if options[i] and options[i].await_ms then
        queue.append(awaited, queue.whole(now_ms + options[i].await_ms), id)
      end
    end
    local set = #ids == 1 and 'HSETNX' or 'HSET'
    local old = #ids - redis.call(set, key.jobs, unpack(fields))
    clashed = clashed + old
    if old > 0 and #ids == 1 then
      there[#there + 1] = positions[1] - 1
      queue.sort_by_number(there)
      return nil
    end
    replaced = replaced + old
    if #payloads > 0 then
      redis.call('HSET', key.payloads, unpack(payloads))
      queue.made(key.payloads)
    end
    if #awaited > 0 then
      redis.call('ZADD', key.awaited, 'GT', unpack(awaited))
      queue.made(key.awaited)
    end
    if options.traits then
      queue.give_keys(fields, positions, options)
      queue.expect_expiry(fields)
      queue.note_children(fields, positions, options)
    end
    return ids, fields
  end

  if #waiting > 0 then
    local places = queue.take_places(waiting, options)
    local ids, stored = store(waiting, places)
    if ids then
      queue.emit('added', ids)
      if options.traits then
        queue.enter_or_hold(ids, stored, places, waiting, options)
      else
        queue.enter_waiting(ids, places)
      end
      if not meta.paused then
        local arm = meta.limited and queue.arm_for_new_job or queue.arm
        arm(0)
      end
    end
  end
  if #delayed > 0 then
    local jobs, tokens = {}, {}
    for k, i in ipairs(delayed) do
      jobs[k] = options[i]
    end
    local ids = store(delayed, queue.first_places(jobs))
    if ids then
      queue.enter_delayed(ids, jobs)
      for k = 1, #ids do
        if jobs[k].traits then
          queue.expect_group(jobs[k].due_ms)
        end
        tokens[k] = ids[k] .. ':' .. queue.whole(jobs[k].due_ms)
      end
      queue.emit('added', ids)
      queue.emit('delayed', tokens)
    end
  end
  queue.count('added', n - #there)
  queue.count('clashed', clashed)
  return there, replaced
end
