-- Room in line for jobs that are due and not in line yet. A call promotes a limited number of jobs, and
-- a job that becomes ready meanwhile must not overtake the rest. So before such a job gets its
-- place, numbers of the sequence are kept free for all jobs that are due, and the sequence goes on
-- behind them. A room is a member of `delayed`, above all lines: `~<first> <last>`, the numbers that
-- are kept free. Its score holds the moment until which its jobs were due; the next room is for jobs
-- that became due after that. All priorities use the same numbers, because places of different priorities
-- never meet. The rooms stay until nothing is due any more.
-- needs: meta, whole, lines
-- rarely: delayed

-- The moment until which due jobs have room; nil if there are no rooms.
function queue.newest_room()
  local _, score = unpack(redis.call('ZRANGE', key.delayed, '-1', '-1', 'WITHSCORES'))
  score = tonumber(score)
  return score and score >= queue.ROOMS and score - queue.ROOMS or nil
end

-- Leaves room for the due jobs that have none.
function queue.leave_room()
  local since_ms, most, next_ms = queue.newest_room() or -1, 0, nil
  local line, due_ms = queue.first_delayed('-inf')
  while line do
    next_ms = math.min(next_ms or due_ms, due_ms)
    -- A job that goes to the front of its priority needs no room.
    if due_ms <= now_ms and line % 2 == 0 then
      local n = redis.call('ZCOUNT', key.delayed, '(' .. queue.score_in(line, since_ms),
        queue.score_in(line, now_ms))
      most = math.max(most, n)
    end
    line, due_ms = queue.first_delayed(queue.score_in(line + 1, 0))
  end
  queue.found_due(next_ms)
  if most > 0 then
    local last = queue.number(meta.sequence)
    local room = '~' .. queue.whole(last + 1) .. ' ' .. queue.whole(last + most)
    redis.call('ZADD', key.delayed, queue.whole(queue.ROOMS + now_ms), room)
    queue.set_meta('sequence', queue.whole(last + most))
  end
end

-- The room for a job that is due at due_ms: the moment until which the room's jobs were due, its first
-- and its last number; nil if there is none.
function queue.room_for(due_ms)
  local room, score = unpack(redis.call('ZRANGEBYSCORE', key.delayed, queue.whole(queue.ROOMS + due_ms), '+inf',
    'WITHSCORES', 'LIMIT', 0, 1))
  local first, last = string.match(room or '', '^~(%d+) (%d+)$')
  if first then
    return tonumber(score) - queue.ROOMS, queue.number(first), queue.number(last)
  end
  return nil
end

-- Drops some of the rooms, the oldest first. Those that stay are for jobs that were due by now, so no
-- job gets a place in them; a later call drops them.
function queue.drop_rooms()
  local AT_MOST = '256'
  local rooms = redis.call('ZRANGEBYSCORE', key.delayed, queue.whole(queue.ROOMS), '+inf',
    'LIMIT', '0', AT_MOST)
  if #rooms > 0 then
    redis.call('ZREM', key.delayed, unpack(rooms))
  end
end
