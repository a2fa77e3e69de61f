-- Moves jobs that are due from `delayed` to `waiting`: line by line (lines.lua), and within a line in
-- the order in which they became due. A call promotes at least as many jobs as it then claims, so
-- it claims the jobs that go first, however many are due.
-- needs: meta, whole, lines, delayed, room, due
-- rarely: enter, emit
-- with all: hold, gated

-- The places of `n` jobs of a line, as text. The first of them gets `number`; no number is less than
-- `least`, if that is given.
function queue.places_from(line, number, n, least)
  local places, base, step = {}, line * queue.LINE, 1
  if line % 2 == 1 then
    -- To the front: down from the first place of the priority, which is where the next line begins.
    base, step = base + queue.LINE, -1
  end
  for i = 1, n do
    places[i] = queue.whole(base + math.max(number + step * (i - 1), least or -math.huge))
  end
  return places
end

-- The due jobs of a line whose scores are at least `from`, `limit` of them at most; the first is due at
-- due_ms. Where there are rooms, only the jobs of one room. Returns the ids, their places, and
-- the moment until which it has looked.
function queue.due_in_line(line, due_ms, from, limit, rooms)
  local to_front = line % 2 == 1
  local until_ms, first, last
  if rooms and not to_front then
    until_ms, first, last = queue.room_for(due_ms)
  end
  local to_ms = math.min(until_ms or now_ms, now_ms)
  local ids = redis.call('ZRANGEBYSCORE', key.delayed, from, queue.score_in(line, to_ms),
    'LIMIT', 0, limit)
  local number
  if until_ms then
    -- The last job that is left for the room gets the last number of the room. There may be more
    -- jobs than numbers, if the clock was set back after the room was made.
    local left = redis.call('ZCOUNT', key.delayed, from, queue.score_in(line, until_ms))
    number = last - left + 1
  elseif to_front then
    number = (tonumber(meta.front) or 0) - 1
    queue.set_meta('front', queue.whole(number - #ids + 1))
  else
    number = queue.number(meta.sequence) + 1
    queue.set_meta('sequence', queue.whole(number + #ids - 1))
  end
  return ids, queue.places_from(line, number, #ids, first), to_ms
end

-- Moves at most `limit` jobs, and brings meta.due up to date. Returns the ids moved, and how many of them are in line.
function queue.promote(limit)
  local ids, places, next_ms = {}, {}, nil
  local rooms, from = queue.newest_room(), '-inf'
  local line, due_ms = queue.first_delayed(from)
  while line and #ids < limit do
    if due_ms <= now_ms then
      local page, of_page, to_ms = queue.due_in_line(line, due_ms, from, limit - #ids, rooms)
      for i = 1, #page do
        local at = #ids + 1
        ids[at], places[at] = page[i], of_page[i]
      end
      from = '(' .. queue.score_in(line, to_ms)
    else
      next_ms = math.min(next_ms or due_ms, due_ms)
      from = queue.score_in(line + 1, 0)
    end
    if #ids < limit then
      line, due_ms = queue.first_delayed(from)
    end
  end
  local in_line = ids
  if #ids > 0 then
    redis.call('ZREM', key.delayed, unpack(ids))
    if meta.gated then
      in_line = queue.enter_at_or_hold(ids, places)
    else
      queue.enter_at(ids, places)
    end
    queue.emit('waiting', in_line)
  end
  if #ids < limit then
    queue.found_due(next_ms)
    if meta.gated then
      queue.expect_no_group()
    end
  elseif #ids > 0 and not (meta.due and queue.number(meta.due) <= now_ms) then
    -- There may be more.
    queue.set_due(now_ms)
  end
  return ids, #in_line
end

-- For a call that then claims `claim` jobs. Returns when the next delayed job is due, or nil; and how many jobs may be claimed:
-- if gates (gate.lua) hold back what was promoted, jobs that are due and not promoted yet may be the next.
function queue.promote_before_claim(claim)
  local AT_LEAST, AT_MOST = 64, 256
  local _, in_line = queue.promote(math.min(AT_MOST, math.max(AT_LEAST, 2 * claim)))
  local due_ms = queue.next_due()
  return due_ms, due_ms and due_ms <= now_ms and math.min(claim, in_line) or claim
end
