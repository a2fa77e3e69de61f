-- Unique keys (unique.lua) that are free, because their jobs have ended or started.
-- needs: head, unique
-- rarely: successor

local STARTED = 'started'

-- Jobs leave what they were: a list as for `leave` (leave.lua). The keys of those that have ended are free, and go to their
-- successors; a key that is taken for a time only if its job is removed.
function queue.free_keys(jobs)
  local names, ids, is_kept, fields = {}, {}, {}, {}
  for _, job in ipairs(jobs) do
    -- Most jobs have no such field: they are not taken apart.
    local name = job.record and string.find(job.record, ' unique=', 1, true) and queue.field_of(job.record, 'unique')
    local is_open = job.to == 'waiting' or job.to == 'delayed'
    if name and not is_open then
      local n = #names + 1
      names[n], ids[n], fields[2 * n - 1], fields[2 * n] = name, job.id, name, name .. ' next'
      is_kept[n] = job.to ~= 'removed' and queue.remembered_ms(queue.field_of(job.record, 'unique_until'))
    end
  end
  local found, free, following = #names > 0 and redis.call('HMGET', key.unique, unpack(fields)), {}, {}
  for n = 1, #names do
    local owner, successor = found[2 * n - 1], found[2 * n]
    if owner == ids[n] and not is_kept[n] then
      free[#free + 1] = names[n]
      following[#free] = successor
    elseif successor == ids[n] then
      redis.call('HDEL', key.unique, names[n] .. ' next')
    end
  end
  if #free > 0 then
    queue.free_key(unpack(free))
  end
  for n = 1, #free do
    if following[n] then
      queue.let_successor_go(free[n], following[n])
    end
  end
end

-- Jobs were claimed: keys that are taken until then are free, if they belong to these jobs still.
function queue.free_started(ids, records)
  local names, of_ids = {}, {}
  for i = 1, #ids do
    local is_free = string.find(records[i], ' unique_until=' .. STARTED, 1, true)
      and queue.field_of(records[i], 'unique_until') == STARTED
    local name = is_free and queue.field_of(records[i], 'unique')
    if name then
      names[#names + 1], of_ids[#of_ids + 1] = name, ids[i]
    end
  end
  local owners, free = #names > 0 and redis.call('HMGET', key.unique, unpack(names)), {}
  for i = 1, #names do
    free[#free + 1] = owners[i] == of_ids[i] and names[i] or nil
  end
  if #free > 0 then
    queue.free_key(unpack(free))
  end
end
