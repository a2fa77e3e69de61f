-- The topics to which a queue is subscribed: `subscribed` has for each `<since> <subscription> <worker> <until_ms>`: the number and the name of the
-- subscription there, and the worker that feeds the queue until then (`-`: none does). How far the queue was fed stands in `fed` (feed.lua), under a name that no log of users has.
-- needs: whole

function queue.subscribed_to(topic)
  return queue.subscribed_in(redis.call('HGET', key.subscribed, topic))
end

function queue.subscribed_in(stored)
  local since, name, worker, until_ms = string.match(stored or '', '^(%d+) (%S+) (%S+) (%d+)$')
  return since and {
    since = queue.number(since),
    name = name,
    worker = worker,
    until_ms = queue.number(until_ms),
  }
end

function queue.save_subscribed_to(topic, it)
  redis.call('HSET', key.subscribed, topic,
    queue.whole(it.since) .. ' ' .. it.name .. ' ' .. it.worker .. ' ' .. queue.whole(it.until_ms))
end

function queue.source_of_topic(topic, since)
  return 'topic/' .. topic .. '/' .. queue.whole(since)
end
