-- Fails if another program has put another type under a key that jobs with traits use. A call for such jobs asks before it
-- writes anything.
-- rarely: head, optional

-- Whether there were any unique keys when the types were checked; nil if they were not.
local any_unique

local function check()
  redis.call('HLEN', key.gates)
  any_unique = redis.call('HLEN', key.unique) > 0
  redis.call('ZCARD', key.blocked)
  redis.call('ZCARD', key.blocked_by)
  redis.call('ZCARD', key.running)
  redis.call('ZCARD', key.expires)
  redis.call('ZCARD', key.remembered)
end

local function check_attempts()
  if queue.has(key.attempts) then
    redis.call('HLEN', key.attempts)
  end
end

function queue.check_types()
  check()
  check_attempts()
end

-- For jobs that are to be added (add.lua). They have no attempts yet, but those that they would replace may have steps.
function queue.check_types_to_meet(list, n, options)
  check()
  for i = 1, n do
    if options[i] and options[i].traits and queue.sent_field(list[n + 1 + i], 'on_duplicate') then
      return check_attempts()
    end
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
