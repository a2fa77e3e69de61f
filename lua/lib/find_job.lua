-- A job that is there, in whatever collection.
-- needs: find, places

-- Returns the state, the score, the collection's key and the record; or nil. What has no record that can be read is no job: another
-- program wrote it.
function queue.find_job(id)
  local state, score, part = queue.find(id)
  local record = state and redis.call('HGET', key.jobs, id)
  if record and queue.place_in(record) then
    return state, score, part, record
  end
  return nil
end
