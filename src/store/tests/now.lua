-- Stands in for lib/now.lua: a clock that a test turns. No queue has a key of this name.
local now_us = tonumber(redis.call('GET', 'clock'))
local now_ms = math.floor(now_us / 1000)
local now_text = string.format('%d', now_ms)
