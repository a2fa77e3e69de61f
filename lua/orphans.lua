#!lua flags=allow-oom
-- Records of jobs that are in no list, or are blocked by nothing: an operator deleted a key, or Redis evicted it. args: cursor
-- ('0' at first) and limit, for about `limit` records; how ('look' | 'put_back' | 'remove'); lease_ms (if no worker has said
-- how long its leases are).
-- Answers { 'orphans', now_ms, ids, cursor, more }: the jobs that were found, put back or removed, and where
-- to go on. At most 256 are put back or removed; more is 1 if that left some of the page, and the
-- cursor stays where it was. A job whose unique key another job has is not put back: it stays where it is.
-- O(n log N). Harmless when repeated.
-- needs: arguments, find
-- rarely: meta, lost, delayed, emit, unplace, head, types

local AT_MOST = 256

if args.how ~= 'look' then
  queue.check_types()
end
local ids, record_of = {}, {}
local next_cursor, records = unpack(redis.call('HSCAN', key.jobs, args.cursor, 'COUNT', args.limit))
for i = 1, #records, 2 do
  local id, record = records[i], records[i + 1]
  local state = queue.find(id)
  local is_lost = not state
  if state and queue.has_traits(record) then
    is_lost = queue.is_held_by_nothing(id, record, state)
    if not is_lost and args.how ~= 'look' then
      queue.tell_gate(id, record, state)
    end
  end
  if is_lost then
    ids[#ids + 1], record_of[id] = id, record
  end
end
table.sort(ids)
if args.how == 'look' or #ids == 0 then
  return { 'orphans', now_ms, ids, next_cursor, 0 }
end

local cursor, more, chosen = next_cursor, 0, {}
for _, id in ipairs(ids) do
  if #chosen == AT_MOST then
    cursor, more = args.cursor, 1
    break
  end
  if args.how == 'remove' or queue.regains_key(id, record_of[id]) then
    chosen[#chosen + 1] = id
  end
end
local answer = chosen
if args.how == 'remove' then
  answer = queue.remove_orphans(chosen)
elseif #chosen > 0 then
  queue.put_back(chosen)
end
queue.look_for_due()
queue.flush_events()
queue.save_meta()
return { 'orphans', now_ms, answer, cursor, more }
