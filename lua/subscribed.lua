#!lua
-- The topics to which the queue is subscribed, at most as many as `attach` allows. args: worker, which wants to feed the queue for hold_ms from now; none feeds it from a
-- topic at the same time but by a mistake of the clock, which does no harm. hold_ms 0: it stops; without a worker nothing is written.
-- Answers { 'subscribed', now_ms, and of each: topic, since, subscription, position up to which the queue was fed (-1: not known), whether this worker feeds it }.
-- O(topics). Harmless when repeated.
-- needs: arguments, subscribed

local answer = { 'subscribed', now_ms }
local topics = redis.call('HKEYS', key.subscribed)
table.sort(topics)
for _, topic in ipairs(topics) do
  local it = queue.subscribed_to(topic)
  if it then
    local fed = redis.call('HGET', key.fed, queue.source_of_topic(topic, it.since))
    local position = tonumber(string.match(fed or '', '^(%d+) '))
    -- A moment that is too far away was noted before the clock was set back.
    local is_free = it.until_ms <= now_ms or it.until_ms > now_ms + 60000
    local is_ours = args.worker and (it.worker == args.worker or is_free)
    if is_ours then
      it.worker, it.until_ms = args.hold_ms > 0 and args.worker or '-', args.hold_ms > 0 and now_ms + args.hold_ms or 0
      queue.save_subscribed_to(topic, it)
    end
    local n = #answer
    answer[n + 1], answer[n + 2], answer[n + 3] = topic, it.since, it.name
    answer[n + 4], answer[n + 5] = position or -1, is_ours and args.hold_ms > 0 and 1 or 0
  end
end
return answer
