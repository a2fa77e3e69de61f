-- Whether a job has started: whether a handler has begun an attempt of it. Such attempts are recorded (attempts.lua), unless
-- they were released, and snoozes are counted. A job that died because no handler could take it has only attempts that did not
-- begin.
-- needs: attempts
-- rarely: child_fields, job_replies

local RECORDED, SNOOZES = 4, 5
local NOT_BEGUN = { ['unknown-name'] = true, undecodable = true, ['child-died'] = true }

function queue.has_begun(id)
  local counters = queue.read_counters(id)
  local fields = queue.attempt_fields(id, counters)
  -- Counters of a job with children are there before it begins.
  local of_children = counters[SNOOZES] ~= nil and queue.counted_children(counters) > 0
    and counters[SNOOZES] + counters[SNOOZES + 1] + counters[SNOOZES + 2] + counters[SNOOZES + 3] == 0
    and queue.replied(counters) == 0
  if (counters[SNOOZES] ~= nil and not of_children) or #fields < counters[RECORDED] then
    return true
  end
  for i = 1, #fields do
    -- Behind both times (`record_attempt`).
    local attempt = string.sub(redis.call('HGET', key.attempts, fields[i]) or '', 19)
    local is_read, entry = pcall(cmsgpack.unpack, attempt)
    if not (is_read and type(entry) == 'table' and NOT_BEGUN[entry.kind]) then
      return true
    end
  end
  return false
end
