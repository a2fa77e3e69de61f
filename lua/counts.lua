-- How many jobs are in each state, and the totals so far. args: none. O(log N).
-- Answers { 'counts', now_ms, { name, number, ... }, { name, total, ... } }.

return {
  'counts', now_ms,
  {
    'waiting', redis.call('ZCARD', key_waiting) + redis.call('ZCARD', key_suspects),
    'delayed', redis.call('ZCARD', key_delayed),
    'active', active_count(),
    'completed', redis.call('ZCARD', key_completed) + redis.call('ZCARD', key_answers),
    'dead', redis.call('ZCARD', key_dead),
  },
  redis.call('HGETALL', key_meta),
}
