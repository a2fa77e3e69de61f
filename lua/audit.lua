#!lua flags=allow-oom
-- Keeps what operators do in a bounded stream, whose entries are numbered from 1.
-- args: limit, how many entries are read, the last ones first; before, if only entries with a lower number.
-- If there is an ARGV[2], it is noted first: an entry, which only clients read.
-- Answers { 'audit', now_ms, how many, and of each entry: its number, when it was noted, the entry }. O(limit).
-- Not harmless when repeated: an entry is there twice.
-- needs: arguments, whole

local ENTRIES_KEPT = '1000'

local function number_of(entry)
  return queue.number(string.match(entry[1], '^%d+'))
end

if ARGV[2] then
  local last = redis.call('XREVRANGE', key.audit, '+', '-', 'COUNT', '1')[1]
  local number = last and number_of(last) or 0
  redis.call('XADD', key.audit, 'MAXLEN', ENTRIES_KEPT, queue.whole(number + 1) .. '-0',
    'at', now_text, 'entry', ARGV[2])
end

local answer = { 'audit', now_ms, 0 }
local up_to = args.before and queue.whole(args.before - 1) or '+'
local entries = args.limit > 0 and redis.call('XREVRANGE', key.audit, up_to, '-', 'COUNT', args.limit) or {}
for _, entry in ipairs(entries) do
  local at, noted = entry[2][2], entry[2][4]
  -- Another program may have written something else.
  if noted and tonumber(at) then
    answer[3] = answer[3] + 1
    answer[#answer + 1] = number_of(entry)
    answer[#answer + 1] = queue.number(at)
    answer[#answer + 1] = noted
  end
end
return answer
