-- Fails if another program has put another type under a key that jobs with traits use. A call for such jobs asks before it
-- writes anything.
-- rarely: head, optional

-- Whether there were any unique keys when the types were checked; nil if they were not.
local any_unique

function queue.check_types()
  redis.call('HLEN', key.gates)
  any_unique = redis.call('HLEN', key.unique) > 0
  redis.call('ZCARD', key.blocked)
  redis.call('ZCARD', key.blocked_by)
  redis.call('ZCARD', key.running)
  redis.call('ZCARD', key.expires)
  redis.call('ZCARD', key.remembered)
  if queue.has(key.attempts) then
    redis.call('HLEN', key.attempts)
  end
end

function queue.are_any_unique()
  return any_unique
end

-- Asks if one of these records (false: there is none) has a trait.
function queue.check_types_for(records)
  for i = 1, #records do
    if records[i] and queue.has_traits(records[i]) then
      return queue.check_types()
    end
  end
end
