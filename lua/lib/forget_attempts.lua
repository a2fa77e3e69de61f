-- needs: attempts
-- rarely: job_log, child_fields

-- Deletes all that is recorded of `ids`; with it a request to cancel the job, if it completed all the same (requests.lua).
function queue.forget_attempts(ids)
  local SNOOZED_SINCE_MS, AT_A_TIME = 6, 1000
  local counters = redis.call('HMGET', key.attempts, unpack(ids))
  for i = 1, #ids do
    if counters[i] then
      local read = queue.counters_in(counters[i])
      local fields = queue.attempt_fields(ids[i], read)
      if #read > SNOOZED_SINCE_MS then
        queue.log_fields(fields, ids[i], read)
        queue.child_fields(fields, ids[i], read)
      end
      fields[#fields + 1] = ids[i] .. '#cancel'
      fields[#fields + 1] = ids[i]
      for from = 1, #fields, AT_A_TIME do
        redis.call('HDEL', key.attempts, unpack(fields, from, math.min(#fields, from + AT_A_TIME - 1)))
      end
    end
  end
end
