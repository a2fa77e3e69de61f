-- The log of a topic: `published` is a stream whose ids are `<position>-<number>`. Positions only grow: max(last + 1, server time in us). So a position tells when
-- an event was published, and a replica that lost the last events does not repeat a position when it is promoted. Numbers count the events. `published_ids` has the
-- position of each event that is kept, by its id. meta.topic is `<last position> <last number> <position of the last event that was dropped> <bytes that
-- are kept> <the last number of a subscription>`.
-- needs: whole

function queue.topic_log()
  local stored = redis.call('HGET', key.meta, 'topic')
  local position, number, dropped, bytes, since = string.match(stored or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
  return {
    is_new = not stored,
    position = queue.number(position),
    number = queue.number(number),
    dropped = queue.number(dropped),
    bytes = queue.number(bytes),
    since = queue.number(since),
  }
end

function queue.save_topic_log(log)
  local numbers = { log.position, log.number, log.dropped, log.bytes, log.since }
  for i, number in ipairs(numbers) do
    numbers[i] = queue.whole(number)
  end
  redis.call('HSET', key.meta, 'topic', table.concat(numbers, ' '))
end

-- Position and number of an entry of the stream, or nothing if another program put it there.
function queue.place_in_log(entry)
  local position, number = string.match(entry[1], '^(%d+)-(%d+)$')
  position, number = tonumber(position), tonumber(number)
  if entry[2][4] and position < 2 ^ 53 and number < 2 ^ 53 then
    return position, number
  end
end

-- How many events a script reads next, if it may read so many bytes more, and the largest so far had `largest`.
function queue.events_at_once(bytes, largest)
  return math.max(1, math.min(32, math.floor(bytes / math.max(1, largest))))
end
