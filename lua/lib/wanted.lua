-- Which jobs of a page are wanted (list.lua). `only` is a map of what must hold, each part only if it is asked for: id_prefix;
-- name; group, as it is stored; failed, so many attempts at least; error, text in the error of the last attempt, in which the
-- case of ASCII letters does not count; older_ms, at least so old; newer_ms, less old than that. A job's age counts from when it
-- ended or died, or else from when it was enqueued. `job` is a map of { id, record, part, score }.
-- rarely: attempts, head, job_name

-- The moment behind the first byte of a stamp that begins at this byte of a stored value (stamp.lua); nil if it is cut short.
local function stamp_at(stored, at)
  return #stored >= at + 8 and struct.unpack('>I8', stored, at + 1) or nil
end

-- From when the age of a job counts, and how many bytes were read for it.
local function since(job)
  if job.part == key.completed or job.part == key.dead then
    return tonumber(job.score), 0
  elseif job.part == key.kept then
    local outcome = redis.call('HGET', key.results, job.id) or ''
    return stamp_at(outcome, 1), #outcome
  end
  return stamp_at(job.record, 2), 0
end

-- Whether the error of the last of the recorded attempts has the text, and how many bytes were read for it.
local function has_error(id, counters, text)
  local fields = queue.attempt_fields(id, counters)
  local STAMPS = 18
  local stored = #fields > 0 and redis.call('HGET', key.attempts, fields[#fields]) or ''
  local is_read, entry = pcall(cmsgpack.unpack, string.sub(stored, STAMPS + 1))
  local error = is_read and type(entry) == 'table' and entry.error
  return type(error) == 'string' and string.find(string.lower(error), text, 1, true) ~= nil, #stored
end

-- Whether the job is wanted, and how many bytes were read to find out, beside its record.
function queue.is_wanted(only, job)
  local FAILED = 1
  local id, record, bytes = job.id, job.record, 0
  if only.id_prefix and string.sub(id, 1, #only.id_prefix) ~= only.id_prefix
    or only.name and queue.name_in(record) ~= only.name
    or only.group and queue.field_of(record, 'group') ~= only.group then
    return false, 0
  end
  if only.older_ms or only.newer_ms then
    local since_ms, read = since(job)
    bytes = bytes + read
    local age_ms = since_ms and now_ms - since_ms
    if not age_ms or only.older_ms and age_ms < only.older_ms or only.newer_ms and age_ms >= only.newer_ms then
      return false, bytes
    end
  end
  if only.failed or only.error then
    local counters = queue.read_counters(id)
    if only.failed and counters[FAILED] < only.failed then
      return false, bytes
    end
    if only.error then
      local has, read = has_error(id, counters, only.error)
      return has, bytes + read
    end
  end
  return true, bytes
end
