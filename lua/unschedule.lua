#!lua flags=allow-oom
-- Removes a schedule; the jobs it has made stay. args: name. Answers { 'removed', now_ms, whether
-- there was one }. O(log N). Harmless when repeated.
-- needs: arguments, meta, schedules, upcoming

local name = args.name
local removed = redis.call('ZREM', key.ticks, name)
removed = removed + redis.call('HDEL', key.schedules, name,
  queue.job_field(name), queue.payload_field(name), queue.state_field(name))
queue.offer_tick()
queue.save_meta()
return { 'removed', now_ms, removed > 0 and 1 or 0 }
