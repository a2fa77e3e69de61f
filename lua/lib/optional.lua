-- Keys that only few jobs use. Mostly none of them exists, and one command asks for all of them. It says how many exist: when as many
-- were found, none of the others is asked for.

-- How many exist that were not found yet; at most a few too many, if keys were made meanwhile. And which keys exist, as far as known.
local unknown
local optional = {}

function queue.has(name)
  if not unknown then
    unknown = redis.call('EXISTS', key.payloads, key.attempts, key.stalls, key.suspects,
      key.places, key.progress, key.awaited)
  end
  if optional[name] == nil and unknown > 0 then
    optional[name] = redis.call('EXISTS', name) == 1
    unknown = optional[name] and unknown - 1 or unknown
  end
  return optional[name]
end

-- To be called by a script that may have created one of these keys.
function queue.made(name)
  optional[name] = true
end
