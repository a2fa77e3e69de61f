#!lua flags=allow-oom
-- The topics to which the queue is subscribed, at most as many as `attach` allows. args: worker, which wants to feed the queue for hold_ms from now; none feeds it from a
-- topic at the same time but by a mistake of the clock, which does no harm; without: topics from which it does not want to; most: so many it takes that it has not fed from
-- until now. hold_ms 0: it stops; without a worker nothing is written.
-- Answers { 'subscribed', now_ms, and of each: topic, since, subscription, position up to which the queue was fed (-1: not known), whether this worker feeds it, for how
-- long (ms) another one does }. O(topics). Harmless when repeated.
-- needs: arguments, subscribed

local MISTAKE_MS = 60000
local answer, without, taken = { 'subscribed', now_ms }, {}, 0
for _, topic in ipairs(args.without or {}) do
  without[topic] = true
end
local all = redis.call('HGETALL', key.subscribed)
local topics, stored, sources = {}, {}, {}
for i = 1, #all, 2 do
  topics[#topics + 1], stored[all[i]] = all[i], all[i + 1]
end
table.sort(topics)
local found = {}
for _, topic in ipairs(topics) do
  local it = queue.subscribed_in(stored[topic])
  if it then
    it.topic = topic
    found[#found + 1], sources[#sources + 1] = it, queue.source_of_topic(topic, it.since)
  end
end
local fed = #sources > 0 and redis.call('HMGET', key.fed, unpack(sources)) or {}
for i, it in ipairs(found) do
  local position = tonumber(string.match(fed[i] or '', '^(%d+) '))
  -- A moment that is too far away was noted before the clock was set back.
  local is_free = it.until_ms <= now_ms or it.until_ms > now_ms + MISTAKE_MS
  local was_ours = args.worker and it.worker == args.worker
  local wants = args.worker and args.hold_ms > 0 and not without[it.topic]
  local is_ours = wants and (was_ours and not is_free or is_free and taken < args.most)
  if is_ours then
    taken = is_free and taken + 1 or taken
    it.worker, it.until_ms = args.worker, now_ms + args.hold_ms
  elseif was_ours then
    it.worker, it.until_ms = '-', 0
  end
  if is_ours or was_ours then
    queue.save_subscribed_to(it.topic, it)
  end
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3] = it.topic, it.since, it.name
  answer[n + 4], answer[n + 5] = position or -1, is_ours and 1 or 0
  answer[n + 6] = not is_ours and it.until_ms > now_ms and it.until_ms <= now_ms + MISTAKE_MS and it.until_ms - now_ms or 0
end
return answer
