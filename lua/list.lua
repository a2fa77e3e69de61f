#!lua flags=no-writes
-- A page of the jobs in one state, in the order in which they would be claimed, become due (line by line, see
-- lib/lines.lua), run out or finished; or in the opposite order. args: state; direction, `forward` or `backward`; limit and
-- look_at, the jobs to answer and to look at; only, which of them are wanted (lib/wanted.lua), if not all are; bytes, the most
-- to answer, but for one job that is larger, and to read for `only`; and, for each page but the first, after: { list, score, id },
-- the last job looked at for the page before, found by score and id, so jobs that come, go or move do not shift the page.
-- Answers { 'list', now_ms, state, list, score, id, number of jobs, and for each its id, its score and what
-- lib/describe.lua says of it }. list, score and id are `after` for the next page; list is 0 if there is none.
-- O(log^2 N + look_at).
-- needs: arguments, find, lists, shown, describe
-- rarely: active, lines, wanted

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

-- How many members stand before that place, or up to it if `with_it`, whether or not a member still stands at it.
local function rank_of(part, place, with_it)
  local low = redis.call('ZCOUNT', part, '-inf', '(' .. place.score)
  local high = redis.call('ZCOUNT', part, '-inf', place.score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = redis.call('ZRANGE', part, middle, middle)[1]
    if stands_behind(member, place.id) or member == place.id and not with_it then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

-- How many jobs are in a list. Names that begin with `~` are no jobs', and stand behind all jobs.
local function jobs_in(part)
  if part == key.active then
    return queue.active_count()
  end
  return part == key.delayed and queue.delayed_count() or redis.call('ZCARD', part)
end

local backward = args.direction == 'backward'
local lists = #queue.COLLECTIONS
local after = args.after or { list = backward and lists or 0 }
local lies_in = args.state == 'cancelled' and 'completed' or args.state
local jobs, bytes, read, left = 0, 0, 0, args.look_at
local page, last = { 'list', now_ms, args.state, 0, '', '', 0 }, { 0, '', '' }

local function answer(goes_on)
  if goes_on then
    page[4], page[5], page[6] = unpack(last)
  end
  page[7] = jobs
  return page
end

-- The jobs of a list that come next, each followed by its score.
local function next_in(list, part)
  local place = list == after.list and after.score and after or nil
  if not backward then
    local from = place and rank_of(part, place, true) or 0
    return redis.call('ZRANGE', part, from, from + left - 1, 'WITHSCORES')
  end
  local to = jobs_in(part)
  to = place and math.min(to, rank_of(part, place, false)) or to
  local turned = {}
  local members = to > 0 and redis.call('ZRANGE', part, math.max(0, to - left), to - 1, 'WITHSCORES') or {}
  for i = #members - 1, 1, -2 do
    queue.append(turned, members[i], members[i + 1])
  end
  return turned
end

for turn = 1, lists do
  local list = backward and lists + 1 - turn or turn
  local state, part = queue.COLLECTIONS[list].state, queue.COLLECTIONS[list].part
  local is_behind = backward and list <= after.list or not backward and list >= after.list
  if state == lies_in and is_behind and left > 0 then
    local ids, scores, members = {}, {}, next_in(list, part)
    for i = 1, #members, 2 do
      if string.sub(members[i], 1, 1) == '~' then
        break
      end
      ids[#ids + 1], scores[#scores + 1] = members[i], members[i + 1]
    end
    local records = #ids > 0 and redis.call('HMGET', key.jobs, unpack(ids)) or {}
    local beside = queue.stored_beside(state)
    for i = 1, #ids do
      local id, end_before = ids[i], #page
      local wanted = records[i] and queue.shown_state(id, state) == args.state
      if wanted and args.only then
        local more
        wanted, more = queue.is_wanted(args.only, { id = id, record = records[i], part = part, score = scores[i] })
        read = read + more
      end
      if wanted then
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
      if jobs == args.limit or read > args.bytes then
        return answer(true)
      end
    end
  end
end
return answer(left == 0)
