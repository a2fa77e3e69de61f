-- Keys that only few jobs use. Mostly none of them exists, and one command tells.
local OPTIONAL_KEYS = {
  key_payloads, key_attempts, key_stalls, key_suspects, key_later, key_progress, key_awaited,
}

local any_optional

local function has(key)
  if any_optional == nil then
    any_optional = redis.call('EXISTS', unpack(OPTIONAL_KEYS)) > 0
  end
  return any_optional and redis.call('EXISTS', key) == 1
end

-- To be said by whoever may have created one of them.
local function made_optional()
  any_optional = true
end
