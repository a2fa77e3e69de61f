-- Deletes the progress that an attempt reported when the attempt is over, unless the job has ended with it.
-- Otherwise the progress would be shown for a job that waits, or that another worker has begun anew.
-- needs: optional
function queue.unsay_progress(ids)
  if #ids > 0 and queue.has(key.progress) then
    -- If another program has put another type there, that holds up no job.
    redis.pcall('HDEL', key.progress, unpack(ids))
  end
end
