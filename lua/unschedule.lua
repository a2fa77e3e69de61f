-- Removes a schedule; the jobs it has made stay. args: name. Answers { 'removed', now_ms, whether
-- there was one }. O(log N). Harmless when repeated.

local name = args.name
local removed = redis.call('ZREM', key_ticks, name)
redis.call('HDEL', key_schedules, name, job_field(name), payload_field(name), state_field(name))
offer_tick()
return { 'removed', now_ms, removed }
