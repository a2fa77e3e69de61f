-- The server's clock, read once per call. No other fragment reads a clock, and no
-- client's clock takes part in any decision.
-- shares: now_us, now_ms, now_text
local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now_us / 1000)
local now_text = string.format('%d', now_ms)
