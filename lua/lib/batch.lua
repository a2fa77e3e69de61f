-- Jobs that a script adds from records that lie in Redis; those that clients send come in by
-- enqueue.lua. An id that is there already is left as it is.

local function new_batch()
  return { ids = {}, records = {}, options = {}, payloads = {} }
end

-- `entry` has the job's priority, whether it goes to the front, and the schedule's name.
local function add_to_batch(batch, id, record, entry, due_ms)
  local n = #batch.ids + 1
  batch.ids[n] = id
  batch.records[n] = record
  batch.options[n] = { priority = entry.priority, front = entry.front, due_ms = due_ms }
  batch.payloads[n] = has_external_payload(record) and payload_field(entry.name) or false
end

-- Stores record and payload of the n-th job. The version byte stays first, the time of enqueueing
-- goes behind it.
local function store_job(batch, n, prefix)
  local record = batch.records[n]
  redis.call('HSET', key_jobs, batch.ids[n],
    string.sub(record, 1, 1) .. prefix .. string.sub(record, 2))
  local payload = batch.payloads[n] and redis.call('HGET', key_schedules, batch.payloads[n])
  if payload then
    redis.call('HSET', key_payloads, batch.ids[n], payload)
    made_optional()
  end
end

local function add_batch(batch)
  if #batch.ids == 0 then
    return
  end
  local known = redis.call('HMGET', key_jobs, unpack(batch.ids))
  local prefix = stamp(now_ms)
  local added, tokens = {}, {}
  local ready, ready_options, later, later_options = {}, {}, {}, {}
  for n, id in ipairs(batch.ids) do
    if not known[n] then
      local option = batch.options[n]
      store_job(batch, n, prefix)
      added[#added + 1] = id
      if option.due_ms > now_ms then
        later[#later + 1], later_options[#later + 1] = id, option
        tokens[#tokens + 1] = id .. ':' .. whole(option.due_ms)
      else
        ready[#ready + 1], ready_options[#ready + 1] = id, option
      end
    end
  end
  enter_waiting(ready, ready_options)
  enter_delayed(later, later_options)
  if #ready > 0 and not is_paused() then
    arm(0)
  end
  count('added', #added)
  emit('added', added)
  emit('delayed', tokens)
end
