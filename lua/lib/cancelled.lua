-- Jobs that end as cancelled because the application asked for it (requests.lua, cancel.lua), and not because their handler
-- said so.
-- needs: finish, head, count, emit
-- rarely: requests, saga

-- For how long a job asks to be kept, ms; nil if it does not. What is no whole number counts as none: the job is out of line by
-- then, so nothing may fail.
function queue.own_keep_ms(record)
  return tonumber(string.match(queue.field_of(record, 'keep_ms') or '', '^%d+$'))
end

-- Ends jobs that are in no collection any more. outcomes[i] is what is stored, records[i] the record; no record: another program
-- deleted it, and there is nothing to end.
function queue.end_cancelled(ids, outcomes, records)
  -- Those that are kept as is set for the queue end together.
  local plain, plain_outcomes = {}, {}
  for i = 1, #ids do
    local keep_ms = queue.own_keep_ms(records[i])
    if keep_ms then
      queue.finish({ ids[i] }, { outcomes[i] }, keep_ms)
    else
      plain[#plain + 1], plain_outcomes[#plain + 1] = ids[i], outcomes[i]
    end
  end
  queue.finish(plain, plain_outcomes)
  queue.count('cancelled', #ids)
  queue.emit('cancelled', ids)
end

-- Attempts end (outcome.lua): one whose job is to be cancelled ends as cancelled, unless it completed, whatever its worker says. A saga
-- is undone instead: it goes back in line for that. Of one that is being undone the worker has to say how that ended; if it says
-- `cancelled`, something was left undone, and the saga is stuck. Nor is a saga undone because no worker could run it for too long.
-- Returns { position, request, .. } of those of which the worker said something else; nil if there is none.
function queue.obey_requests(others)
  local ids, overruled = {}, nil
  for i = 1, #others do
    ids[i] = others[i].id
  end
  local requests, sagas = queue.take_requests(ids)
  for i = 1, #others do
    local other, request, saga = others[i], requests[i], sagas[ids[i]]
    local was_run = other.reason ~= 'unknown-name' and other.reason ~= 'undecodable'
    local ends = other.outcome == 'dead' and was_run or other.outcome == 'cancelled'
    if saga and queue.goes_forward(saga) and (request and other.outcome ~= 'completed' or ends) then
      queue.begin_undo(ids[i], request or other.outcome == 'cancelled' and other.blob or cmsgpack.pack({ cancelled = other.reason }))
      -- It waits for nothing that its worker asked for.
      other.outcome, other.after_ms, other.name = 'released', nil, nil
    elseif saga and other.outcome == 'cancelled' then
      other.outcome, other.reason, other.blob = 'dead', 'stuck', cmsgpack.pack({ kind = 'error' })
    elseif request and not saga and other.outcome ~= 'completed' then
      if other.outcome ~= 'cancelled' or other.blob ~= request then
        overruled = overruled or {}
        overruled[#overruled + 1], overruled[#overruled + 2] = other.position, request
      end
      other.outcome, other.blob = 'cancelled', request
      other.keep_ms = queue.own_keep_ms(redis.call('HGET', key.jobs, other.id) or '')
    end
  end
  return overruled
end
