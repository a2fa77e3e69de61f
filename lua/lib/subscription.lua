-- A subscription of a topic, in `subscriptions` by its name: `<since> <position> <number> <missed> <queue> <what it wants>`. since: no other subscription of the
-- topic has, or had, this number. Its queue has taken, or passed over, all events up to this position, which is that of the event of this number. missed: so many events
-- were dropped before the queue could take them. What it wants is opaque here.
-- needs: whole

function queue.subscription(name)
  return queue.subscription_in(redis.call('HGET', key.subscriptions, name))
end

function queue.subscription_in(stored)
  local since, position, number, missed, target, wants = string.match(stored or '', '^(%d+) (%d+) (%d+) (%d+) (%S+) (.*)$')
  return since and {
    since = queue.number(since),
    position = queue.number(position),
    number = queue.number(number),
    missed = queue.number(missed),
    queue = target,
    wants = wants,
  }
end

function queue.save_subscription(name, it)
  local texts = {
    queue.whole(it.since), queue.whole(it.position), queue.whole(it.number), queue.whole(it.missed), it.queue, it.wants,
  }
  redis.call('HSET', key.subscriptions, name, table.concat(texts, ' '))
end
