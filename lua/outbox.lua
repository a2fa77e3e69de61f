#!lua flags=no-writes
-- Reads what waits in the outbox (lib/outbox.lua) for one target: the first messages, in their order. args: from (the first target at or behind
-- this name), limit, bytes: at most so many messages and bytes, but always one message, unless `limit` is 0.
-- Answers { 'outbox', now_ms, target, how many messages wait for it, the position of the first, the next target ('' if there is none), how many
-- messages follow, their positions .., and the messages }; or { 'empty', now_ms }. O(log N + messages).
-- needs: arguments, reply

-- Members that are read at a time. What does not fit is read in vain, so few are, and fewer if they are large.
local STEP = 4

local function of_member(member)
  local target, position, behind = string.match(member, '^([^%z]+)%z(%d+)%z()')
  assert(target, 'somebody else wrote to the outbox')
  return target, position, behind
end

local function page(from, limit)
  return redis.call('ZRANGE', key.outbox, from, '+', 'BYLEX', 'LIMIT', '0', limit)
end

local first = page('[' .. args.from .. '\0', 1)[1]
if not first then
  return { 'empty', now_ms }
end
local target, oldest = of_member(first)

-- Control characters are in no name, so what begins with this is behind all messages for the target.
local behind_target = '(' .. target .. '\1'
local depth = redis.call('ZLEXCOUNT', key.outbox, '[' .. target .. '\0', behind_target)
local positions, messages, bytes, from = {}, {}, 0, '[' .. target .. '\0'
local is_full, largest = args.limit == 0, #first
while not is_full do
  local step = math.max(1, math.min(STEP, math.floor((args.bytes - bytes) / largest)))
  local members = page(from, step)
  is_full = #members < step
  for _, member in ipairs(members) do
    local of, position, behind = of_member(member)
    bytes, largest = bytes + #member, math.max(largest, #member)
    if of ~= target or #messages > 0 and bytes > args.bytes or #messages >= args.limit then
      is_full = true
      break
    end
    positions[#positions + 1], messages[#messages + 1] = position, string.sub(member, behind)
  end
  from = '(' .. (members[#members] or '')
end
local behind = page(behind_target, 1)[1]
local reply = { 'outbox', now_ms, target, depth, oldest, behind and of_member(behind) or '' }
queue.append_list(reply, positions)
for i = 1, #messages do
  reply[#reply + 1] = messages[i]
end
return reply
