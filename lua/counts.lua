#!lua flags=no-writes
-- How many jobs are in each state, and the queue's own numbers, the totals so far among them. args: none. O(log N).
-- Answers { 'counts', now_ms, { state, number, ... }, { name, text, ... } }.
-- needs: lines, active

return {
  'counts', now_ms,
  {
    'waiting', redis.call('ZCARD', key.waiting) + redis.call('ZCARD', key.suspects)
      + redis.call('ZCARD', key.unhandled),
    'blocked', redis.call('ZCARD', key.blocked),
    'delayed', queue.delayed_count(),
    'active', queue.active_count(),
    'completed', redis.call('ZCARD', key.completed) + redis.call('ZCARD', key.kept),
    'dead', redis.call('ZCARD', key.dead),
  },
  redis.call('HGETALL', key.meta),
}
