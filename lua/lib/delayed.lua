-- Which of the delayed jobs are next: one of each line (lines.lua).
-- needs: meta, whole, lines
-- rarely: room, unset

-- The line of the first delayed job whose score is at least `from`, and when that job is due; nil
-- if there is none.
function queue.first_delayed(from)
  local _, score = unpack(redis.call('ZRANGEBYSCORE', key.delayed, from, queue.BELOW_ROOMS, 'WITHSCORES',
    'LIMIT', 0, 1))
  score = tonumber(score)
  if not score then
    return nil
  end
  -- A score below all lines was written by another program; such a job counts as due.
  local line = math.max(queue.FIRST_LINE, math.floor(score / queue.LINE))
  return line, math.max(0, math.ceil(score - line * queue.LINE))
end

-- Keeps meta.due (due.lua). next_ms: nil if no job is delayed.
function queue.set_due(next_ms)
  if not next_ms then
    if meta.due then
      queue.unset_meta('due')
    end
  elseif meta.due ~= queue.whole(next_ms) then
    queue.set_meta('due', queue.whole(next_ms))
  end
end

-- To be called after a look at all lines, with the moment when the next job is due. If none is due
-- now, no room is needed.
function queue.found_due(next_ms)
  queue.set_due(next_ms)
  if not next_ms or next_ms > now_ms then
    queue.drop_rooms()
  end
end

-- Looks at all lines, at most 2,048, and brings meta.due up to date. Returns when the next job is
-- due, or nil.
function queue.look_for_due()
  local next_ms
  local line, due_ms = queue.first_delayed('-inf')
  while line do
    next_ms = math.min(next_ms or due_ms, due_ms)
    line, due_ms = queue.first_delayed(queue.score_in(line + 1, 0))
  end
  queue.found_due(next_ms)
  return next_ms
end
