-- Takes jobs off the head of the queue and leases them.

-- The next `limit` ids in line, a suspect among them if the caller may run one and it is its
-- turn. Returns the ids, how many of them, from the first on, are suspects (0 or 1), and
-- whether there is more in `waiting`.
function queue.next_in_line(limit, with_suspect)
  -- One beyond the limit tells whether there is more.
  local ids = redis.call('ZRANGE', key.waiting, '0', queue.whole(limit))
  local more = #ids > limit
  ids[limit + 1] = nil
  if not (with_suspect and queue.has(key.suspects)) then
    return ids, 0, more
  end
  local suspect = redis.call('ZRANGE', key.suspects, '0', '0', 'WITHSCORES')
  if #ids == limit then
    local last = redis.call('ZSCORE', key.waiting, ids[limit])
    if tonumber(last) < tonumber(suspect[2]) then
      return ids, 0, more
    end
    ids[limit], more = nil, true
  end
  table.insert(ids, 1, suspect[1])
  return ids, 1, more
end

-- How many of `ids`, from the first on, have records that fit into `max_bytes` together; at
-- least one does. An id without a record cannot be run and would block its place for ever:
-- it is passed over. Returns the ids and records, the positions of those whose payload lies
-- apart, and how many ids were looked at.
function queue.fitting(ids, records, max_bytes)
  local EXTERNAL_PAYLOAD = 128
  local taken, taken_records, external, n, bytes = {}, {}, {}, 0, 0
  for i = 1, #ids do
    local record = records[i]
    if record then
      local apart = (string.byte(record) or 0) >= EXTERNAL_PAYLOAD
      bytes = bytes + #record + (apart and redis.call('HSTRLEN', key.payloads, ids[i]) or 0)
      if bytes > max_bytes and n > 0 then
        return taken, taken_records, external, i - 1
      end
      n = n + 1
      taken[n], taken_records[n] = ids[i], record
      if apart then
        external[#external + 1] = n
      end
    end
  end
  return taken, taken_records, external, #ids
end

-- Claims at most `limit` jobs of at most `max_bytes`. Returns a map of ids, records, external
-- (positions of those whose payload lies apart), first_fence, receipt, suspects (how many of
-- them are), names (the ids in one line), more (whether there is) and offers_left (whether others
-- handed back more that the caller has handlers for).
function queue.claim(limit, max_bytes, with_suspect, worker, lease_ms)
  local ids, suspects, more = queue.next_in_line(limit, with_suspect)
  local offers_left
  if args.handlers then
    ids, more, offers_left = queue.mix_in_offered(ids, suspects, more, limit)
  end
  if #ids == 0 then
    return { ids = {}, records = {}, external = {}, suspects = 0, more = more }
  end
  local records = redis.call('HMGET', key.jobs, unpack(ids))
  local taken, taken_records, external, seen = queue.fitting(ids, records, max_bytes)
  if suspects > 0 then
    redis.call('ZREM', key.suspects, ids[1])
  end
  local from_line, left = seen - suspects, 0
  if args.handlers then
    local offered
    offered, left = queue.take_offered(ids, seen)
    from_line = from_line - offered
  end
  if from_line > 0 then
    redis.call('ZREMRANGEBYRANK', key.waiting, '0', queue.whole(from_line - 1))
  end
  -- Somebody else wrote to our keys; how often is told by Totals::orphans.
  queue.count('orphans', seen - #taken)
  local claimed = {
    ids = taken, records = taken_records, external = external,
    suspects = suspects, more = more or seen + left < #ids,
    offers_left = offers_left or left > 0,
  }
  if #taken > 0 then
    claimed.first_fence, claimed.receipt = queue.lease(taken, worker, lease_ms)
    claimed.names = queue.emit('active', taken)
  end
  return claimed
end
