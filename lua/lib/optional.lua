-- Keys that only few jobs use. Mostly none of them exists, and one command asks for all of them.
local any_optional
local optional = {}

function queue.has(name)
  if any_optional == nil then
    any_optional = redis.call('EXISTS', key.payloads, key.attempts, key.stalls, key.suspects,
      key.places, key.progress, key.awaited) > 0
  end
  if any_optional and optional[name] == nil then
    optional[name] = redis.call('EXISTS', name) == 1
  end
  return any_optional and optional[name]
end

-- To be called by a script that may have created one of these keys.
function queue.made(name)
  any_optional = true
  optional[name] = true
end
