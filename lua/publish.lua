#!lua
-- Appends events to the log of a topic, each once. args: ids, one of each event, none twice; keep_ms, keep_bytes: older events, and the oldest of more bytes, are dropped, but
-- for those of this call. The events are ARGV[2..].
-- An event whose id is among those that are kept is not added. Answers { 'published' | 'first', now_ms, the position of each event, at which it
-- stands now or stood before }; 'first': the topic is new. At most twice as many events are dropped as are added, and 32. O(N log N).
-- Harmless when repeated.
-- needs: arguments, topic_log, whole

local log = queue.topic_log()
local known = redis.call('HMGET', key.published_ids, unpack(args.ids))
local answer, ids, first = { log.is_new and 'first' or 'published', now_ms }, {}, math.huge
for i, id in ipairs(args.ids) do
  local position = tonumber(known[i] or nil)
  if not position then
    position = math.max(log.position + 1, now_us)
    first = math.min(first, position)
    log.position, log.number, log.bytes = position, log.number + 1, log.bytes + #ARGV[i + 1]
    -- What another program did to the stream shows here, at the first event, before anything is written.
    redis.call('XADD', key.published, queue.whole(position) .. '-' .. queue.whole(log.number), 'id', id, 'event', ARGV[i + 1])
    ids[#ids + 1], ids[#ids + 2] = id, queue.whole(position)
  end
  answer[i + 2] = position
end
if #ids > 0 then
  redis.call('HSET', key.published_ids, unpack(ids))
end

local oldest_us, dropped, from, left = now_us - args.keep_ms * 1000, {}, '-', 2 * #args.ids + 16
while left > 0 do
  -- Mostly the first one is kept.
  local page = redis.call('XRANGE', key.published, from, '+', 'COUNT', from == '-' and 1 or 16)
  left = #page > 0 and left - #page or 0
  for _, entry in ipairs(page) do
    local position = queue.place_in_log(entry)
    if position >= first or position >= oldest_us and log.bytes <= args.keep_bytes then
      left = 0
      break
    end
    dropped[#dropped + 1] = entry[2][2] or ''
    log.dropped, log.bytes = position, math.max(0, log.bytes - #(entry[2][4] or ''))
    from = '(' .. entry[1]
  end
end
if #dropped > 0 then
  redis.call('XTRIM', key.published, 'MINID', '=', queue.whole(log.dropped + 1))
  redis.call('HDEL', key.published_ids, unpack(dropped))
end
if #ids + #dropped > 0 then
  queue.save_topic_log(log)
end
return answer
