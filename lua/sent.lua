#!lua flags=allow-oom
-- Deletes messages from the outbox that their target has taken. args: target, position: those up to it.
-- Answers { 'sent', now_ms, how many were deleted, how many messages are left for any target }. O(log N + deleted). Harmless when repeated.
-- needs: arguments, outbox

local behind = '(' .. args.target .. '\0' .. queue.position_as_digits(args.position + 1)
local deleted = redis.call('ZREMRANGEBYLEX', key.outbox, '[' .. args.target .. '\0', behind)
return { 'sent', now_ms, deleted, redis.call('ZCARD', key.outbox) }
