#!lua flags=allow-oom
-- Records of jobs that are in no list, or are blocked by nothing: an operator deleted a key, or Redis evicted it. And children whose
-- parent would wait for them for ever, because their records are gone (lib/missing_children.lua): putting them back or removing them tells
-- the parent that they were removed. args: cursor
-- ('0' at first) and limit, for about `limit` records; how ('look' | 'put_back' | 'remove'); lease_ms (if no worker has said
-- how long its leases are).
-- Answers { 'orphans', now_ms, ids, cursor, more }: the jobs that were found, put back or removed, and where
-- to go on. At most 256 are put back or removed, and no further parent is told when 256 children were; more is 1 if that left some of the page, and the
-- cursor stays where it was. A job whose unique key another job has is not put back: it stays where it is.
-- O(n log N). Harmless when repeated.
-- needs: arguments, find
-- rarely: meta, lost, delayed, emit, unplace, head, types, far_types, children, missing_children, spawned, successor, waits

local AT_MOST = 256

if args.how ~= 'look' then
  queue.check_types()
  queue.check_outbox()
end
local ids, record_of, families, is_family = {}, {}, {}, {}
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
  if state == 'blocked' and not is_family[id] and (queue.waits_for_children(id) or queue.is_untold(id)) then
    local missing = queue.missing_children(id)
    if #missing > 0 then
      families[#families + 1], is_family[id] = { id = id, missing = missing }, true
    end
  end
  if is_lost then
    ids[#ids + 1], record_of[id] = id, record
  end
end
table.sort(ids)
table.sort(families, function(a, b)
  return a.id < b.id
end)

local function append_children(answer, missing)
  for _, child in ipairs(missing) do
    answer[#answer + 1] = child.id
  end
end

if args.how == 'look' or #ids + #families == 0 then
  for _, family in ipairs(families) do
    append_children(ids, family.missing)
  end
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
if #chosen > 0 and args.how == 'remove' then
  answer = queue.remove_orphans(chosen)
elseif #chosen > 0 then
  queue.put_back(chosen)
end
local dropped, told = 0, {}
for _, family in ipairs(families) do
  if dropped >= AT_MOST then
    cursor, more = args.cursor, 1
    break
  end
  -- A child that was put back or removed just now may have changed what is open.
  local missing, open = queue.missing_children(family.id)
  local waits_itself = queue.waits_for_children(family.id)
  dropped = dropped + #missing
  if #missing > 0 and queue.drop_children(family.id, missing, open, told) == 0 and waits_itself then
    queue.let_parent_go(family.id)
  end
  append_children(answer, missing)
end
queue.wake_parents(told)
queue.look_for_due()
queue.flush_events()
queue.save_meta()
return { 'orphans', now_ms, answer, cursor, more }
