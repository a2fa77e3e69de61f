#!lua flags=no-writes
-- What was counted in some minutes (lib/tally.lua). args: from (how many minutes ago the first of them is), limit (so many minutes).
-- Answers { 'history', now_ms, { text, .. } }, for each minute one text, which is empty if nothing was counted, or a day before. O(limit). Reads.
-- needs: arguments, whole

local MINUTES = 1440

local minute, slots = math.floor(now_ms / 60000), {}
for ago = args.from, args.from - args.limit + 1, -1 do
  slots[#slots + 1] = queue.whole((minute - ago) % MINUTES)
end
local texts = redis.call('HMGET', key.history, unpack(slots))
for i = 1, #slots do
  texts[i] = texts[i] or ''
end
return { 'history', now_ms, texts }
