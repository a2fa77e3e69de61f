-- Fails if another program has put another type under a key that only jobs with traits use. A call for such jobs asks before it
-- writes anything.
-- needs: head

function queue.check_types()
  for _, hash in ipairs({ key.gates, key.unique }) do
    redis.call('HLEN', hash)
  end
  for _, set in ipairs({ key.blocked, key.blocked_by, key.running, key.expires, key.remembered }) do
    redis.call('ZCARD', set)
  end
end

-- Asks if one of these records (false: there is none) has a trait.
function queue.check_types_for(records)
  for i = 1, #records do
    if records[i] and queue.has_traits(records[i]) then
      return queue.check_types()
    end
  end
end
