-- Deletes all that is recorded of jobs: counters and attempts (attempts.lua), the log (job_log.lua), steps (steps.lua), what they know of
-- their children (child_fields.lua), replies (job_replies.lua); and with it a
-- request to cancel the job, if it completed all the same (requests.lua).
-- needs: attempts
-- rarely: job_log, steps, child_fields, job_replies

function queue.forget_attempts(ids)
  local WITHOUT_LOG, WITHOUT_STEPS, WITHOUT_REPLIES, AT_A_TIME = 6, 7, 9, 1000
  local counters = redis.call('HMGET', key.attempts, unpack(ids))
  for i = 1, #ids do
    if counters[i] then
      local read = queue.counters_in(counters[i])
      local fields = queue.attempt_fields(ids[i], read)
      if #read > WITHOUT_LOG then
        queue.log_fields(fields, ids[i], read)
      end
      if #read > WITHOUT_STEPS then
        queue.step_fields(fields, ids[i], read)
        queue.child_fields(fields, ids[i], read)
      end
      if #read > WITHOUT_REPLIES then
        queue.reply_fields(fields, ids[i], read)
      end
      fields[#fields + 1] = ids[i] .. '#cancel'
      fields[#fields + 1] = ids[i]
      for from = 1, #fields, AT_A_TIME do
        redis.call('HDEL', key.attempts, unpack(fields, from, math.min(#fields, from + AT_A_TIME - 1)))
      end
    end
  end
end
