-- What an attempt said of its progress goes with the attempt, unless the job has ended with it.
-- Otherwise it would show as the progress of a job that waits, or that another worker has begun anew.
-- needs: optional
function queue.unsay_progress(ids)
  if #ids > 0 and queue.has(key.progress) then
    -- If somebody else has put another type there, that holds up no job.
    redis.pcall('HDEL', key.progress, unpack(ids))
  end
end
