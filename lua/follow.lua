#!lua flags=allow-oom
-- Reads what comes next for a subscription of a topic, and notes how far its queue is. args: name, since, of the subscription; after: the queue has taken, or passed over, all
-- events up to this position; number, of the event there (0 if that is not known); limit, bytes: at most so many events, and no more once they have so many bytes.
-- Answers { 'gone', now_ms }: no such subscription is there; or { 'page', now_ms, missed, last position, last number, what it wants, position, number and event of
-- each }: missed is how many events have been dropped that the queue has not taken, as far as that was not said before. O(N).
-- needs: arguments, topic_log, subscription, whole

local log, it = queue.topic_log(), queue.subscription(args.name)
if not it or it.since ~= args.since then
  return { 'gone', now_ms }
end
local BY = 32
local answer, bytes, from = {}, 0, queue.whole(args.after + 1)
repeat
  local page = redis.call('XRANGE', key.published, from, '+', 'COUNT', BY)
  for _, entry in ipairs(page) do
    if #answer >= 3 * args.limit or bytes >= args.bytes then
      break
    end
    local position, number = queue.place_in_log(entry)
    local n = #answer
    answer[n + 1], answer[n + 2], answer[n + 3] = position, number, entry[2][4] or ''
    bytes, from = bytes + #answer[n + 3], '(' .. entry[1]
  end
until #page < BY or #answer >= 3 * args.limit or bytes >= args.bytes

if args.after > it.position then
  it.position, it.number = args.after, math.max(it.number, args.number)
end
-- The log has lost what the queue has taken: what is published next is to come behind that.
if args.after > log.position then
  log.position = args.after
  queue.save_topic_log(log)
end
local missed = 0
if log.dropped > args.after then
  missed = math.max(0, (answer[2] or log.number + 1) - 1 - it.number)
  it.number, it.missed = it.number + missed, it.missed + missed
end
queue.save_subscription(args.name, it)
return { 'page', now_ms, missed, log.position, log.number, it.wants, unpack(answer) }
