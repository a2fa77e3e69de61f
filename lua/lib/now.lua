-- The server's clock, read once per call. No other fragment reads a clock, and no
-- client's clock takes part in any decision.
local function server_time_us()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local now_us = server_time_us()
local now_ms = math.floor(now_us / 1000)
