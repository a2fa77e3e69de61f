#!lua flags=no-writes
-- A page of the ids in one state, in the order in which they would be claimed, become due (line by
-- line, see lib/lines.lua), run out or finished. args: state, offset, limit. O(log N + limit).
-- Answers { 'list', now_ms, ids }.
-- needs: arguments, find

local page = {}
local skip, room = args.offset, args.limit
for _, collection in ipairs(queue.COLLECTIONS) do
  local part = collection.part
  if collection.state == args.state and room > 0 then
    local ids = redis.call('ZRANGE', part, skip, skip + room - 1)
    for i = 1, #ids do
      -- A name that begins like this is no job's.
      if string.sub(ids[i], 1, 1) ~= '~' then
        page[#page + 1] = ids[i]
      end
    end
    skip = math.max(0, skip - redis.call('ZCARD', part))
    room = args.limit - #page
  end
end
return { 'list', now_ms, page }
