#!lua
-- Subscribes a queue to a topic, or changes what a subscription wants. args: name, of the subscription; queue; start, where it begins if it is new: 'now' (behind the last event),
-- 'kept' (with the first that is kept), or a position (with the first from there on); most: so many subscriptions are allowed. ARGV[2]: what it wants.
-- Answers { 'subscribed' | 'known', now_ms, since, the position behind which it goes on }, { 'other', now_ms, the queue that the
-- subscription of this name has }, or { 'full', now_ms }. O(1). Harmless when repeated.
-- needs: arguments, topic_log, subscription, whole

local log, known = queue.topic_log(), queue.subscription(args.name)
if known then
  if known.queue ~= args.queue then
    return { 'other', now_ms, known.queue }
  end
  known.wants = ARGV[2]
  queue.save_subscription(args.name, known)
  return { 'known', now_ms, known.since, known.position }
end
if redis.call('HLEN', key.subscriptions) >= args.most then
  return { 'full', now_ms }
end
local position, number = log.position, log.number
if args.start ~= 'now' then
  local from = args.start == 'kept' and '-' or queue.whole(args.start)
  local entry = redis.call('XRANGE', key.published, from, '+', 'COUNT', 1)[1]
  if entry and queue.place_in_log(entry) then
    position, number = queue.place_in_log(entry)
    position, number = position - 1, number - 1
  end
end
log.since = math.max(log.since + 1, now_us)
queue.save_topic_log(log)
queue.save_subscription(args.name, {
  since = log.since, position = position, number = number, missed = 0, queue = args.queue, wants = ARGV[2],
})
return { 'subscribed', now_ms, log.since, position }
