-- Exactly-once calls. Each lane (one process incarnation x one pump) numbers its mutating
-- calls; `calls` keeps the last number and its answer. A client that lost a reply sends the
-- same number again and gets the stored answer; nothing is executed twice.
--
-- A lane that is not known (swept, or Redis lost data) is accepted with any number.

-- Returns 'new'; or 'repeated' and the stored answer; or 'superseded' for a number that
-- a later call of the same lane has already passed.
local function begin_call(lane, number)
  local stored = redis.call('HGET', key_calls, lane)
  if not stored then
    return 'new'
  end
  local last, _, answer = unpack(cmsgpack.unpack(stored))
  if number > last then
    return 'new'
  end
  if number == last then
    return 'repeated', answer
  end
  return 'superseded'
end

local function end_call(lane, number, answer)
  redis.call('HSET', key_calls, lane, cmsgpack.pack({ number, now_ms, answer }))
end
