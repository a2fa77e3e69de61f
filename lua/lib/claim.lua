-- Takes jobs off the head of the queue and leases them.

-- Takes the head of `suspects`, unless `limit` jobs that come before it were popped; of these
-- it replaces the last, which goes back.
local function take_suspect(popped, limit)
  if not has(key_suspects) then
    return nil
  end
  local suspect = redis.call('ZRANGE', key_suspects, 0, 0, 'WITHSCORES')
  local last = 2 * limit
  if popped[last] then
    if tonumber(popped[last]) < tonumber(suspect[2]) then
      return nil
    end
    redis.call('ZADD', key_waiting, popped[last], popped[last - 1])
    popped[last - 1], popped[last] = nil, nil
  end
  redis.call('ZREM', key_suspects, suspect[1])
  return suspect
end

-- Pops at most `limit` jobs, a suspect among them if the caller may run one and it is its turn.
-- Returns ids and scores; how many of them, from the first on, are suspects (0 or 1); and
-- whether there may be more in `waiting`.
local function pop(limit, with_suspect)
  local ids, scores = {}, {}
  local popped = redis.call('ZPOPMIN', key_waiting, limit)
  local more = #popped == 2 * limit
  local suspect = with_suspect and take_suspect(popped, limit)
  if suspect then
    ids[1], scores[1] = suspect[1], tonumber(suspect[2])
  end
  for i = 1, #popped, 2 do
    ids[#ids + 1] = popped[i]
    scores[#scores + 1] = tonumber(popped[i + 1])
  end
  return ids, scores, suspect and 1 or 0, more
end

-- How many of the jobs, from the first on, fit into `max_bytes`; at least one does.
local function fitting(ids, records, max_bytes)
  local bytes = 0
  for i = 1, #ids do
    bytes = bytes + #records[i]
    if has_external_payload(records[i]) then
      bytes = bytes + redis.call('HSTRLEN', key_payloads, ids[i])
    end
    if bytes > max_bytes and i > 1 then
      return i - 1
    end
  end
  return #ids
end

-- An id whose record is gone cannot be run, and would block its place for ever. Somebody else
-- wrote to our keys; how often is told by Totals::orphans.
local function drop_orphans(ids, scores, records)
  local kept_ids, kept_scores, kept_records = {}, {}, {}
  for i = 1, #ids do
    if records[i] then
      kept_ids[#kept_ids + 1] = ids[i]
      kept_scores[#kept_scores + 1] = scores[i]
      kept_records[#kept_records + 1] = records[i]
    end
  end
  count('orphans', #ids - #kept_ids)
  return kept_ids, kept_scores, kept_records
end

-- Puts the last jobs back, from `n + 1` on.
local function put_back(ids, scores, records, n)
  local back = {}
  for i = #ids, n + 1, -1 do
    back[#back + 1] = whole(scores[i])
    back[#back + 1] = ids[i]
    ids[i], scores[i], records[i] = nil, nil, nil
  end
  redis.call('ZADD', key_waiting, unpack(back))
end

-- Claims at most `limit` jobs of at most `max_bytes`. Returns ids, records, the first fence, how
-- many of them are suspects, and whether there may be more.
local function claim(limit, max_bytes, with_suspect, worker, lease_ms)
  local ids, scores, suspects, more = pop(limit, with_suspect)
  if #ids == 0 then
    return ids, {}, 0, 0, more
  end
  local records = redis.call('HMGET', key_jobs, unpack(ids))
  for i = 1, #ids do
    if not records[i] then
      ids, scores, records = drop_orphans(ids, scores, records)
      break
    end
  end
  local n = fitting(ids, records, max_bytes)
  if n < #ids then
    put_back(ids, scores, records, n)
    more = true
  end
  if n == 0 then
    return ids, records, 0, 0, more
  end
  local first_fence = lease(ids, scores, worker, lease_ms)
  emit('active', ids)
  return ids, records, first_fence, suspects, more
end
