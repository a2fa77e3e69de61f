-- Which of the jobs that are next may be claimed by this call.
-- needs: meta
-- rarely: head, rate, paused_names

-- How many of `ids`, from the first on, have records that fit into `max_bytes` together; at
-- least one does, unless `how` is 'must fit'. An id without a record cannot be run and would block its place for ever:
-- it is passed over. If `how` is 'before traits', it stops in front of the first job with a trait. If the queue has limits, it
-- stops in front of the first job that may not start now, and those that it takes count as started; and it stops in front of the
-- first job whose name is paused. `how` is 'again' if they have started before. Returns the ids and records, the positions of
-- those whose payload lies apart, how many ids were looked at, the bytes, and whether it stopped in front of a job with a
-- trait.
function queue.fitting(ids, records, max_bytes, how)
  local PLAIN, EXTERNAL_PAYLOAD = 2, 128
  local taken, taken_records, external, n, bytes = {}, {}, {}, 0, 0
  for i = 1, #ids do
    local record = records[i]
    if record then
      local version, apart = string.byte(record), false
      if version ~= PLAIN then
        if how == 'before traits' and queue.has_traits(record) then
          return taken, taken_records, external, i - 1, bytes, true
        end
        apart = (version or 0) >= EXTERNAL_PAYLOAD
      end
      local size = #record + (apart and redis.call('HSTRLEN', key.payloads, ids[i]) or 0)
      if bytes + size > max_bytes and (n > 0 or how == 'must fit') then
        return taken, taken_records, external, i - 1, bytes
      end
      if meta.paused_names and how ~= 'again' and queue.is_paused_job(record) then
        return taken, taken_records, external, i - 1, bytes
      end
      if meta.limited and how ~= 'again' and not queue.may_start(record) then
        return taken, taken_records, external, i - 1, bytes
      end
      bytes = bytes + size
      n = n + 1
      taken[n], taken_records[n] = ids[i], record
      if apart then
        external[#external + 1] = n
      end
    end
  end
  return taken, taken_records, external, #ids, bytes
end
