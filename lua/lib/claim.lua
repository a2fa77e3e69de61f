-- Takes jobs off the head of the queue and leases them.
-- needs: arguments, meta, whole, optional, fitting, count, emit, lease
-- rarely: suspects, limit, rate
-- with all: offers, admission, types, freed, expiry, set_aside

-- The next `limit` ids in line. At most `suspects` of them are suspects; each of these comes only if
-- its place is before the place of the job that it would push out.
-- Returns the ids, how many of them, from the first on, are suspects, and whether there is more
-- in `waiting`.
function queue.next_in_line(limit, suspects)
  -- One beyond the limit tells whether there is more.
  local ids = redis.call('ZRANGE', key.waiting, '0', queue.whole(limit))
  local more = #ids > limit
  ids[limit + 1] = nil
  if not (suspects > 0 and queue.has(key.suspects)) then
    return ids, 0, more
  end
  local group, taken = queue.next_suspects(math.min(limit, suspects)), {}
  for i = 1, #group, 2 do
    local suspect, place = group[i], tonumber(group[i + 1])
    if #ids + #taken == limit then
      -- It takes the place of the last of the others, if it comes before that one.
      local last = #ids > 0 and redis.call('ZSCORE', key.waiting, ids[#ids])
      if not last or tonumber(last) < place then
        break
      end
      ids[#ids], more = nil, true
    end
    taken[#taken + 1] = suspect
  end
  local n = #taken
  for i = 1, #ids do
    taken[n + i] = ids[i]
  end
  return taken, n, more
end

-- Takes at most `limit` jobs of at most `max_bytes` out of the line; `how` as of `fitting`. Returns a map of ids, records,
-- external (positions of those whose payload lies apart), suspects (how many of them are), bytes, more (whether there is),
-- offers_left (whether others handed back more that the caller has handlers for) and meets_traits (a job with traits is next,
-- and the caller does not ask for such jobs).
function queue.take_from_line(limit, max_bytes, suspects_at_most, how)
  local ids, suspects, more = queue.next_in_line(limit, suspects_at_most)
  local offers_left
  if args.handlers then
    ids, more, offers_left = queue.mix_in_offered(ids, suspects, more, limit)
  end
  if #ids == 0 then
    return { ids = {}, records = {}, external = {}, suspects = 0, more = more, bytes = 0 }
  end
  local records = redis.call('HMGET', key.jobs, unpack(ids))
  local taken, taken_records, external, seen, bytes, meets_traits =
    queue.fitting(ids, records, max_bytes, how)
  local offered, left = 0, 0
  if args.handlers then
    offered, left = queue.take_offered(ids, seen)
  end
  more = more or meets_traits or math.max(seen, suspects) + left < #ids
  suspects = math.min(suspects, seen)
  if suspects > 0 then
    redis.call('ZREM', key.suspects, unpack(ids, 1, suspects))
  end
  local from_line = seen - suspects - offered
  if from_line > 0 then
    redis.call('ZREMRANGEBYRANK', key.waiting, '0', queue.whole(from_line - 1))
  end
  -- Another program wrote to our keys; Totals::without_record counts this.
  queue.count('orphans', seen - #taken)
  return {
    ids = taken, records = taken_records, external = external, suspects = suspects, bytes = bytes,
    more = more, offers_left = offers_left or left > 0, meets_traits = meets_traits,
  }
end

-- Claims at most `limit` jobs of at most `max_bytes`. Returns what take_from_line returns, and for jobs first_fence, receipt,
-- names.
function queue.claim(limit, max_bytes, suspects_at_most, worker, lease_ms)
  if meta.limited then
    limit = queue.within_limits(limit)
    if limit == 0 then
      local offers_left, _
      if args.handlers then
        -- The caller has asked for these names, and hears of their jobs again.
        _, _, offers_left = queue.mix_in_offered({}, 0, false, 0)
      end
      queue.save_started()
      return { ids = {}, records = {}, external = {}, suspects = 0, bytes = 0, offers_left = offers_left }
    end
  end
  if meta.paused_names then
    queue.set_aside_paused(limit)
  end
  local claimed = queue.take_from_line(limit, max_bytes, suspects_at_most, not args.traits and 'before traits')
  if args.traits then
    claimed = queue.go_by_gates(claimed, limit, max_bytes)
    if queue.are_any_unique() then
      queue.free_started(claimed.ids, claimed.records)
    end
    if meta.expiring then
      queue.forget_expiry(claimed.ids)
    end
  end
  if meta.limited then
    queue.save_started()
  end
  if #claimed.ids > 0 then
    claimed.first_fence, claimed.receipt = queue.lease(claimed.ids, worker, lease_ms)
    claimed.names = queue.emit('active', claimed.ids)
  end
  return claimed
end
