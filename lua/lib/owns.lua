-- Whether the job that is named as the owner of a unique key has it still (unique.lua).

-- state: that of the job, nil or false if it is gone. until_ms: until when the key is remembered; nil: as long as the job has
-- not ended.
function queue.owns_key(state, until_ms)
  if until_ms then
    return until_ms > now_ms
  end
  return state == 'waiting' or state == 'blocked' or state == 'delayed' or state == 'active'
end
