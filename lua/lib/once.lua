-- Exactly-once calls. Each lane (one sender of calls, one at a time) numbers those that must not
-- be carried out twice; `calls` keeps the last number, when it was, and its answer:
-- `<number> <when> <answer>`. A client that lost a reply sends the same number again and gets
-- the stored answer; nothing is executed twice.
--
-- A lane that is not known (swept, or Redis lost data) is accepted with any number.

-- Returns 'new'; or 'repeated' and the stored answer; or 'superseded' for a number that
-- a later call of the same lane has already passed.
function queue.begin_call(lane, number)
  local stored = redis.call('HGET', key.calls, lane)
  if not stored then
    return 'new'
  end
  local last = tonumber(string.match(stored, '^%d+'))
  if number > last then
    return 'new'
  end
  if number == last then
    return 'repeated', string.match(stored, '^%d+ %d+ (.*)$')
  end
  return 'superseded'
end

-- The answer is text.
function queue.end_call(lane, number, answer)
  local last = queue.whole(number) .. ' ' .. now_text .. ' ' .. answer
  redis.call('HSET', key.calls, lane, last)
end
