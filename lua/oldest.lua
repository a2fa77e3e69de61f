#!lua flags=no-writes
-- The job that has waited for longest, of those that are looked at. args: priorities, how many are looked at.
-- Looked at are, of each of the `priorities` least urgent priorities that have jobs in line, the first job that came to its back and
-- the first that came to its front; the first suspect; and the first job that is to be too old for its name (unhandled.lua).
-- Answers { 'oldest', now_ms, id, when it was enqueued (ms) }, or { 'none', now_ms }. O(priorities * log N).
-- needs: arguments

local STEP = 2 ^ 43
local ids = {}

local function add(page)
  ids[#ids + 1] = page[1]
end

-- What came to the front of a priority has the numbers below its first place, the last of them first.
local function add_of_line(priority)
  local first = priority * STEP
  add(redis.call('ZRANGEBYSCORE', key.waiting, string.format('%d', first), '+inf', 'LIMIT', '0', '1'))
  add(redis.call('ZREVRANGEBYSCORE', key.waiting, string.format('(%d', first), '-inf', 'LIMIT', '0', '1'))
end

local up_to = '+inf'
for _ = 1, args.priorities do
  local last = redis.call('ZREVRANGEBYSCORE', key.waiting, up_to, '-inf', 'WITHSCORES', 'LIMIT', '0', '1')
  local score = tonumber(last[2])
  if not score then
    break
  end
  local priority = math.floor((score + STEP / 2) / STEP)
  add_of_line(priority)
  up_to = string.format('(%d', priority * STEP - STEP / 2)
end
add(redis.call('ZRANGE', key.suspects, '0', '0'))
add(redis.call('ZRANGE', key.unhandled, '0', '0'))

local oldest, oldest_ms
local records = #ids > 0 and redis.call('HMGET', key.jobs, unpack(ids)) or {}
for i, id in ipairs(ids) do
  -- Behind the version: MessagePack, when the job was enqueued.
  local is_read, ms = pcall(cmsgpack.unpack, string.sub(records[i] or '', 2, 10))
  ms = is_read and tonumber(ms)
  if ms and (not oldest_ms or ms < oldest_ms or ms == oldest_ms and id < oldest) then
    oldest, oldest_ms = id, ms
  end
end
if not oldest then
  return { 'none', now_ms }
end
return { 'oldest', now_ms, oldest, oldest_ms }
