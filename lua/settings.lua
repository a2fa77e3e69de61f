#!lua flags=no-writes
-- What is set for the queue (lib/settings.lua). args: none. O(1).
-- Answers { 'settings', now_ms, what is set, what code declared last }, texts, '' for nothing.

local set, declared = unpack(redis.call('HMGET', key.meta, 'settings', 'declared'))
return { 'settings', now_ms, set or '', declared or '' }
