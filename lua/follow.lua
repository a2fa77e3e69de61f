#!lua flags=allow-oom
-- Reads what comes next for a subscription of a topic, and notes how far its queue is. args: name, since, of the subscription; after: the queue has taken, or passed over, all
-- events up to this position; limit, bytes: at most so many events, and no more once they have so many bytes.
-- Answers { 'gone', now_ms }: no such subscription is there; or { 'page', now_ms, missed, last position, what it wants, position and event of
-- each }: missed is how many events have been dropped that the queue has not taken, as far as that was not said before. O(log N + n), and it reads no more bytes than it
-- answers, but for one event.
-- needs: arguments, topic_log, subscription, whole

local DAY_US = 86400000000
local log, it = queue.topic_log(), queue.subscription(args.name)
if not it or it.since ~= args.since then
  return { 'gone', now_ms }
end
local answer, bytes, largest, from = {}, 0, 0, queue.whole(args.after + 1)
local step, is_over, next_number = 1, args.limit == 0, nil
while not is_over do
  local page = redis.call('XRANGE', key.published, from, '+', 'COUNT', step)
  is_over = #page < step
  for _, entry in ipairs(page) do
    from = '(' .. entry[1]
    local position, number = queue.place_in_log(entry)
    if position and (#answer >= 2 * args.limit or bytes >= args.bytes) then
      is_over = true
      break
    end
    if position then
      next_number = next_number or number
      answer[#answer + 1] = position
      answer[#answer + 1] = entry[2][4]
      bytes, largest = bytes + #entry[2][4], math.max(largest, #entry[2][4])
    end
  end
  is_over = is_over or #answer >= 2 * args.limit or bytes >= args.bytes
  step = queue.events_at_once(args.bytes - bytes, largest)
end
next_number = next_number or log.number + 1

local before = { it.position, it.number, it.missed }
it.position = math.max(it.position, args.after)
-- The log has lost what the queue has taken: what is published next is to come behind that.
if args.after > log.position and args.after <= now_us + DAY_US then
  log.position = args.after
  queue.save_topic_log(log)
end
local missed = 0
if log.dropped > args.after then
  missed = math.max(0, next_number - 1 - it.number)
  it.missed = it.missed + missed
  it.number = it.number + missed
elseif args.after >= it.position then
  it.number = next_number - 1
end
if it.position ~= before[1] or it.number ~= before[2] or it.missed ~= before[3] then
  queue.save_subscription(args.name, it)
end
return { 'page', now_ms, missed, log.position, it.wants, unpack(answer) }
