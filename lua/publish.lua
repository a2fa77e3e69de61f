#!lua
-- Appends events to the log of a topic, each once. args: ids, one of each event, none twice; keep_ms, keep_bytes: older events, and the oldest of more bytes, are dropped, but
-- for those of this call. The events are ARGV[2..].
-- An event whose id is among those that are kept is not added. Answers { 'published', now_ms, of each event the position at which it
-- stands now or stood before, and 1 if it is new or 0 }. It drops at most twice as many events as it adds, and 48, and no more once they have 1 MiB. O(N log N).
-- Harmless when repeated.
-- needs: arguments, topic_log, whole

local MOST_BYTES = 1048576
local log = queue.topic_log()
local known = redis.call('HMGET', key.published_ids, unpack(args.ids))
local answer, new, places = { 'published', now_ms }, {}, {}
for i, id in ipairs(args.ids) do
  local position = tonumber(known[i] or nil)
  answer[2 * i + 2] = position and 0 or 1
  if not position then
    position = math.max(log.position + 1, now_us)
    log.position, log.number, log.bytes = position, log.number + 1, log.bytes + #ARGV[i + 1]
    new[#new + 1] = { queue.whole(position) .. '-' .. queue.whole(log.number), id, ARGV[i + 1] }
    places[#places + 1], places[#places + 2] = id, queue.whole(position)
  end
  answer[2 * i + 1] = position
end

-- What is to go is read before anything is written. Mostly the first event is kept.
local oldest_us, dropped, from = now_us - args.keep_ms * 1000, {}, '-'
local left, read, largest, step = 2 * #args.ids + 16, 0, 0, 1
while left > 0 and read < MOST_BYTES do
  local page = redis.call('XRANGE', key.published, from, '+', 'COUNT', step)
  left = #page > 0 and left - #page or 0
  for _, entry in ipairs(page) do
    local position, size = queue.place_in_log(entry), #(entry[2][4] or '')
    if position and position >= oldest_us and log.bytes <= args.keep_bytes then
      left = 0
      break
    end
    dropped[#dropped + 1] = entry[2][2] or ''
    log.dropped, log.bytes = position or log.dropped, math.max(0, log.bytes - size)
    read, largest, from = read + size, math.max(largest, size), '(' .. entry[1]
  end
  step = queue.events_at_once(MOST_BYTES - read, largest)
end

for _, event in ipairs(new) do
  -- What another program did to the stream shows here, at the first one.
  redis.call('XADD', key.published, event[1], 'id', event[2], 'event', event[3])
end
if #new > 0 then
  redis.call('HSET', key.published_ids, unpack(places))
end
if #dropped > 0 then
  redis.call('XTRIM', key.published, 'MINID', '=', queue.whole(log.dropped + 1))
  redis.call('HDEL', key.published_ids, unpack(dropped))
end
if #new + #dropped > 0 then
  queue.save_topic_log(log)
end
return answer
