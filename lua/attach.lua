#!lua
-- A queue learns that it is subscribed to a topic, or that it is no more. args: topic; since, name, of the subscription; start: it is fed with what comes behind this
-- position (without it: it is subscribed no more); most: so many topics are allowed.
-- Answers { 'attached' | 'detached' | 'full', now_ms }, { 'other', now_ms, the name of another subscription of this topic that feeds the queue }, or { 'stale', now_ms }: a
-- later subscription of this name feeds it. O(1). Harmless when repeated: where the queue stands is not touched, if that is known.
-- needs: arguments, subscribed, whole

local it = queue.subscribed_to(args.topic)
local source = queue.source_of_topic(args.topic, args.since)
local is_this = it and it.since == args.since
if not args.start then
  if is_this then
    redis.call('HDEL', key.subscribed, args.topic)
    redis.call('HDEL', key.fed, source)
  end
  return { 'detached', now_ms }
end
if it and it.name ~= args.name then
  return { 'other', now_ms, it.name }
end
if it and it.since > args.since then
  return { 'stale', now_ms }
end
if not it and redis.call('HLEN', key.subscribed) >= args.most then
  return { 'full', now_ms }
end
-- A subscription of this name was removed and made again.
if it and not is_this then
  redis.call('HDEL', key.fed, queue.source_of_topic(args.topic, it.since))
end
redis.call('HSETNX', key.fed, source, queue.whole(args.start) .. ' - -')
if not is_this then
  queue.save_subscribed_to(args.topic, { since = args.since, name = args.name, worker = '-', until_ms = 0 })
end
return { 'attached', now_ms }
