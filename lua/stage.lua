#!lua
-- Adds messages to a draft (lib/draft.lua). No relay sees them before it is committed. args: draft, its id; first, the number of the first of
-- these messages, from 0: no number is left out; targets, of each message; keep_ms, for how long from now on the draft waits to be
-- committed. The messages are ARGV[2..].
-- Answers { 'staged', now_ms }, or { 'gone', now_ms }: it was committed or dropped, or messages before these are missing; nothing was written.
-- O(messages). Harmless when repeated.
-- needs: arguments, draft, whole

local draft, is_remembered = queue.draft(args.draft)
if not draft and not is_remembered and args.first == 0 then
  draft = { next = 0, total = 0, is_sent = false }
end
if not draft or draft.is_sent or draft.next > 0 or args.first > draft.total then
  return { 'gone', now_ms }
end

local fields = {}
for i, target in ipairs(args.targets) do
  fields[2 * i - 1] = args.draft .. ' ' .. queue.whole(args.first + i - 1)
  fields[2 * i] = target .. '\0' .. ARGV[i + 1]
end
draft.total = math.max(draft.total, args.first + #args.targets)
queue.save_draft(args.draft, draft)
redis.call('HSET', key.staged, unpack(fields))
queue.remember_draft(args.draft, args.keep_ms)
return { 'staged', now_ms }
