#!lua flags=allow-oom
-- Removes a subscription of a topic. args: name; since (optional): only if it has this number.
-- Answers { 'unsubscribed', now_ms, its number, its queue }, or { 'none', now_ms }. O(1).
-- needs: arguments, subscription

local it = queue.subscription(args.name)
if not it or args.since and it.since ~= args.since then
  return { 'none', now_ms }
end
redis.call('HDEL', key.subscriptions, args.name)
return { 'unsubscribed', now_ms, it.since, it.queue }
