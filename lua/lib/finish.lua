-- The end of a job, completed or cancelled. If a caller waits for the outcome of a job, dead or not, the outcome is announced
-- and kept for a while, even if the job would otherwise be dropped at once.
-- needs: optional, settings, stamp, forget
-- rarely: kept
local ANNOUNCEMENTS_KEPT = 1000

-- Splits off the `ids` of jobs whose outcome a caller waits for, and announces them.
-- Returns a set of these ids, or nil if there are none.
function queue.announce(ids)
  if #ids == 0 or not queue.has(key.awaited) then
    return nil
  end
  local awaited = {}
  local until_ms = redis.call('ZMSCORE', key.awaited, unpack(ids))
  local names = {}
  for i = 1, #ids do
    if until_ms[i] and tonumber(until_ms[i]) > now_ms then
      awaited[ids[i]] = true
      names[#names + 1] = ids[i]
    end
  end
  if #names == 0 then
    return nil
  end
  redis.call('ZREM', key.awaited, unpack(names))
  redis.call('XADD', key.finished, 'MAXLEN', '~', ANNOUNCEMENTS_KEPT, '*',
    'ids', table.concat(names, ' '))
  return awaited
end

-- Ends jobs with the same retention. `own_ms` is what the job itself asks for; 0: leave nothing behind;
-- nil: it is kept as is set for the queue. `completed` holds what is kept as is set for the queue, by the moment at
-- which it ended. `kept` holds jobs with a retention of their own and, for 60 s, jobs that a caller waits for (kept.lua).
function queue.finish(ids, outcomes, own_ms)
  if #ids == 0 then
    return
  end
  local awaited = queue.announce(ids)
  local keep_ms = own_ms or queue.setting('keep_completed_ms')
  if keep_ms == 0 and not awaited then
    return queue.forget(ids)
  end
  local completed, kept, results, gone = {}, {}, {}, {}
  local finished_at = queue.stamp(now_ms)
  for i = 1, #ids do
    local id = ids[i]
    local waits = awaited and awaited[id]
    if waits or (own_ms and keep_ms > 0) then
      local at = #kept
      kept[at + 1], kept[at + 2] = queue.kept_score(own_ms, waits), id
    elseif keep_ms > 0 then
      local at = #completed
      completed[at + 1], completed[at + 2] = now_text, id
    else
      gone[#gone + 1] = id
    end
    if keep_ms > 0 or waits then
      local at = #results
      results[at + 1], results[at + 2] = id, finished_at .. outcomes[i]
    end
  end
  if #completed > 0 then
    redis.call('ZADD', key.completed, unpack(completed))
  end
  if #kept > 0 then
    redis.call('ZADD', key.kept, unpack(kept))
  end
  redis.call('HSET', key.results, unpack(results))
  queue.forget(gone)
end
