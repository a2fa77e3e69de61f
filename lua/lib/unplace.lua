-- Jobs that are in no list any more (lost.lua) are not found by their names and gates either.
-- rarely: unhandled, head, blocked

-- Jobs that were handed back are not kept by their names any more: they are offered to every worker.
function queue.forget_names(ids)
  local _, names = queue.names_of(ids)
  local named = {}
  for i = 1, #ids do
    if names[i] then
      named[#named + 1] = ids[i]
    end
  end
  if #named > 0 then
    queue.leave_unhandled(named)
  end
end

-- Jobs that were held back are not among the jobs of their gates any more. Returns those of the jobs that have a gate.
function queue.forget_gates(ids)
  local records, leaving = redis.call('HMGET', key.jobs, unpack(ids)), {}
  for i = 1, #ids do
    if records[i] and queue.has_traits(records[i]) then
      queue.leave_blocked(ids[i], records[i])
      leaving[#leaving + 1] = { id = ids[i], record = records[i], from = 'lost', to = 'removed' }
    end
  end
  return leaving
end
