#!lua flags=no-writes
-- A page of the jobs in one state, in the order in which they would be claimed, become due (line by line, see
-- lib/lines.lua), run out or finished. args: state; limit, the jobs to look at; bytes, the most to answer, but for one job
-- that is larger; and, for each page but the first, after: { list, score, id }, the last job looked at for the page before.
-- That place is found by its score and id, so jobs that come, go or move before it do not shift the page.
-- Answers { 'list', now_ms, state, list, score, id, number of jobs, and for each its id, its score and what
-- lib/describe.lua says of it }. list, score and id are `after` for the next page; list is 0 if there is none.
-- O(log^2 N + limit).
-- needs: arguments, find, lists, shown, describe

-- Whether member `a` stands behind `b` where both have the same score. Redis compares bytes; Lua's `<` asks the locale.
local function stands_behind(a, b)
  for i = 1, math.min(#a, #b) do
    local byte_a, byte_b = string.byte(a, i), string.byte(b, i)
    if byte_a ~= byte_b then
      return byte_a > byte_b
    end
  end
  return #a > #b
end

-- How many members stand up to that place, whether or not a member still stands at it.
local function rank_behind(part, place)
  local low = redis.call('ZCOUNT', part, '-inf', '(' .. place.score)
  local high = redis.call('ZCOUNT', part, '-inf', place.score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = redis.call('ZRANGE', part, middle, middle)[1]
    if stands_behind(member, place.id) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local after = args.after or { list = 0 }
local lies_in = args.state == 'cancelled' and 'completed' or args.state
local jobs, bytes, left = 0, 0, args.limit
local page, last = { 'list', now_ms, args.state, 0, '', '', 0 }, { 0, '', '' }

local function answer(goes_on)
  if goes_on then
    page[4], page[5], page[6] = unpack(last)
  end
  page[7] = jobs
  return page
end

for list, collection in ipairs(queue.COLLECTIONS) do
  local state, part = collection.state, collection.part
  if state == lies_in and list >= after.list and left > 0 then
    local from = list == after.list and rank_behind(part, after) or 0
    local ids, scores = {}, {}
    local members = redis.call('ZRANGE', part, from, from + left - 1, 'WITHSCORES')
    for i = 1, #members, 2 do
      -- Names that begin with `~` are no jobs', and stand behind all jobs.
      if string.sub(members[i], 1, 1) == '~' then
        break
      end
      ids[#ids + 1], scores[#scores + 1] = members[i], members[i + 1]
    end
    local records = #ids > 0 and redis.call('HMGET', key.jobs, unpack(ids)) or {}
    local beside = queue.stored_beside(state)
    for i = 1, #ids do
      local id, end_before = ids[i], #page
      if records[i] and queue.shown_state(id, state) == args.state then
        queue.append(page, id, queue.shown_score(state, scores[i]))
        bytes = bytes + queue.describe(page, id, records[i], beside)
        if jobs > 0 and bytes > args.bytes then
          for k = #page, end_before + 1, -1 do
            page[k] = nil
          end
          return answer(true)
        end
        jobs = jobs + 1
      end
      last, left = { list, scores[i], id }, left - 1
    end
  end
end
return answer(left == 0)
