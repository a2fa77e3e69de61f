-- Exactly-once calls. Each lane (one sender of calls, one at a time) numbers the calls that must not
-- be carried out twice; `calls` keeps the last number, when it was, and its answer:
-- `<number> <when> <answer>`. A client that lost a reply sends the same number again and gets
-- the stored answer; nothing is executed twice.
--
-- A client may also ask whether a call ran. If it did, the question gets its answer. If not, the
-- question takes the number, and leaves a mark as its answer: however often the client asks, and
-- even if the call comes after all, it hears that the call did not run.
--
-- A lane that is not known (swept, or Redis lost data) is accepted with any number.
-- needs: whole

local ASKED = '?'

-- Returns 'new'; or 'repeated' and the stored answer; or 'asked' if a question has the number; or
-- 'superseded' for a number that a later call of the same lane has already passed. is_question: the
-- caller only asks.
function queue.begin_call(lane, number, is_question)
  local stored = redis.call('HGET', key.calls, lane)
  local last = stored and tonumber(string.match(stored, '^%d+'))
  -- The entry of the last call cannot be read: this call may be its repeat, and must not run.
  assert(last or not stored, 'somebody else wrote to the calls of this lane')
  if last and number < last then
    return 'superseded'
  end
  if number == last then
    local answer = string.match(stored, '^%d+ %d+ (.*)$')
    if answer == ASKED then
      return 'asked'
    end
    return 'repeated', answer
  end
  if is_question then
    queue.end_call(lane, number, ASKED)
    return 'asked'
  end
  return 'new'
end

-- The answer is text.
function queue.end_call(lane, number, answer)
  local last = queue.whole(number) .. ' ' .. now_text .. ' ' .. answer
  redis.call('HSET', key.calls, lane, last)
end
