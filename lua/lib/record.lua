-- The part of a job's record that scripts read: what stands at a fixed place in front. What
-- follows, MessagePack with binary payloads, Redis cannot decode.
local EXTERNAL_PAYLOAD = 128 -- high bit of the version byte
local PRIORITY = 12          -- behind version byte, time of enqueueing and a type marker

local function has_external_payload(record)
  return string.byte(record) >= EXTERNAL_PAYLOAD
end

-- The priority a record was enqueued with; the default if it cannot be read.
local function priority_of(record)
  local priority = #record > PRIORITY and struct.unpack('>I2', record, PRIORITY)
  if priority and priority <= PRIORITY_MAX then
    return priority
  end
  return DEFAULT_PRIORITY
end
