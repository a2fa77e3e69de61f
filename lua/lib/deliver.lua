-- What a worker needs to run the jobs it has claimed: the ids, the records, and, for the few
-- that have them, large payloads, failure counters and stall counts.
-- `extras` is flat: position, name, value, position, name, value, ...
local function add_extras(extras, name, key, ids)
  if #ids == 0 or not has(key) then
    return
  end
  local values = redis.call('HMGET', key, unpack(ids))
  for i = 1, #ids do
    if values[i] then
      extras[#extras + 1] = i - 1
      extras[#extras + 1] = name
      extras[#extras + 1] = values[i]
    end
  end
end

local function deliver(ids, records)
  local extras = {}
  for i = 1, #ids do
    local payload = has_external_payload(records[i]) and redis.call('HGET', key_payloads, ids[i])
    if payload then
      extras[#extras + 1] = i - 1
      extras[#extras + 1] = 'payload'
      extras[#extras + 1] = payload
    end
  end
  add_extras(extras, 'attempts', key_attempts, ids)
  add_extras(extras, 'stalls', key_stalls, ids)
  return extras
end
