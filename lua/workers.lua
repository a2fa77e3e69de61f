#!lua flags=no-writes
-- Some of the workers that have reported lately. args: cursor ('0' at first) and limit, for about `limit` workers.
-- Answers { 'workers', now_ms, cursor, { id, what it said, ... } }; what it said begins with since when the worker runs and when it said it (ms).
-- O(page). Reads.
-- needs: arguments

local cursor, said = unpack(redis.call('HSCAN', key.about, args.cursor, 'COUNT', args.limit))
local ids, found = {}, {}
for i = 1, #said, 2 do
  ids[#ids + 1] = said[i]
end
local until_ms = #ids > 0 and redis.call('ZMSCORE', key.workers, unpack(ids))
for i = 1, #ids do
  if (tonumber(until_ms[i]) or 0) > now_ms then
    found[#found + 1], found[#found + 2] = ids[i], said[2 * i]
  end
end
return { 'workers', now_ms, cursor, found }
