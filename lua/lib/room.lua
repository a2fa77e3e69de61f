-- Room in line for jobs that are due and not in line yet: a call promotes a limited number, and
-- what becomes ready meanwhile must not overtake the rest. So before a job that is ready now gets its
-- place, room is left for all that is due, and the sequence goes on behind it. A room is a member
-- of `delayed`, above all lines: `~<first> <last>`, the numbers that are kept free, with the moment
-- until which the jobs are due that it is for. The next room is for those that are due after that.
-- All priorities use the same numbers, for the places of two priorities never meet. The rooms stay
-- until nothing is due any more.

-- Until when the jobs are due that have room; nil if there are no rooms.
function queue.newest_room()
  local newest = redis.call('ZRANGE', key.delayed, '-1', '-1', 'WITHSCORES')
  local score = tonumber(newest[2])
  return score and score >= ROOMS and score - ROOMS or nil
end

-- Leaves room for what is due and has none.
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
    redis.call('ZADD', key.delayed, queue.whole(ROOMS + now_ms), room)
    queue.set_meta('sequence', queue.whole(last + most))
  end
end

-- The room for a job that is due then: until when its jobs are due, its first and its last number;
-- nil if there is none.
function queue.room_for(due_ms)
  local room = redis.call('ZRANGEBYSCORE', key.delayed, queue.whole(ROOMS + due_ms), '+inf',
    'WITHSCORES', 'LIMIT', 0, 1)
  local first, last = string.match(room[1] or '', '^~(%d+) (%d+)$')
  if first then
    return tonumber(room[2]) - ROOMS, queue.number(first), queue.number(last)
  end
  return nil
end

function queue.drop_rooms()
  if queue.newest_room() then
    redis.call('ZREMRANGEBYSCORE', key.delayed, queue.whole(ROOMS), '+inf')
  end
end
