#!lua flags=no-writes
-- What is set for the queue (lib/settings.lua). args: none. O(1).
-- Answers { 'settings', now_ms, what is set, what code declared last }, texts, '' for nothing.

local found = redis.call('HMGET', key.meta, 'settings', 'declared')
return { 'settings', now_ms, found[1] or '', found[2] or '' }
