-- Like types.lua, for the keys that only calls use that claim jobs with traits, or set jobs of paused names aside.
-- needs: meta

function queue.check_types_of_claims()
  redis.call('ZCARD', key.paced)
  if meta.paused_names then
    redis.call('ZCARD', key.unhandled)
    redis.call('ZCARD', key.names)
    redis.call('HLEN', key.attempts)
  end
end
