#!lua flags=no-writes
-- What is known of a topic, and its subscriptions (as many as `subscribe` allows). args: none.
-- Answers { 'topic', now_ms, is_there, last position, last number, bytes, events that are kept, position of the first of these (-1: none is), and of each subscription: name, since, queue,
-- position, number, missed, what it wants, position of the next event (-1: there is none) }. O(subscriptions).
-- needs: topic_log, subscription

local log = queue.topic_log()
local function first_from(position)
  local entry = redis.call('XRANGE', key.published, position, '+', 'COUNT', 1)[1]
  return entry and queue.place_in_log(entry) or -1
end
local answer = {
  'topic', now_ms, log.is_new and 0 or 1, log.position, log.number, log.bytes, redis.call('HLEN', key.published_ids), (first_from('-')),
}
local all = redis.call('HGETALL', key.subscriptions)
local names, stored = {}, {}
for i = 1, #all, 2 do
  names[#names + 1], stored[all[i]] = all[i], all[i + 1]
end
table.sort(names)
for _, name in ipairs(names) do
  local it = queue.subscription_in(stored[name])
  if it then
    -- Mostly it has taken everything.
    local next_one = it.position < log.position and first_from(queue.whole(it.position + 1)) or -1
    for _, value in ipairs({ name, it.since, it.queue, it.position, it.number, it.missed, it.wants, next_one }) do
      answer[#answer + 1] = value
    end
  end
end
return answer
