#!lua
-- Takes in messages that another queue (or this one) has for this one, each once. args: source, the queue whose outbox they lie in; positions, theirs,
-- rising. The messages are ARGV[2..].
--
-- `sources` has the last position that was taken from each queue, and is written in the same script that does what the message says. What is
-- not above it was taken before. So it is harmless if several relays carry the same message, or if one comes late: each reads the outbox from its
-- head, and a message leaves the head only when a relay has heard that it was taken; so whatever a relay carries begins with what has
-- not been taken, or with what was, and leaves no gap.
--
-- One call takes the first new messages as far as they are of one kind. A kind that is not known was written by a newer version: it is not taken, and
-- nothing behind it. Answers { 'received' | 'first', now_ms, the last position that is taken, how many messages this call took, 'unknown' if the next
-- cannot be taken by this version | 'again' if there is more to do for it | '', whether this queue has put something into its own outbox }. 'first': the
-- queue is new. O(n log N).
-- needs: arguments, meta, whole, message, emit
-- rarely: receive_jobs, receive_cancel, receive_child, receive_children, receive_forward, receive_expand

-- Does what these messages of one kind say; returns how many of them, from the first on, and what the answer says of the next.
local function take(kind, messages)
  if kind == 'job' then
    return queue.receive_jobs(messages)
  elseif kind == 'cancel' then
    return queue.receive_cancel(messages[1])
  elseif kind == 'child' then
    return queue.receive_child(messages)
  elseif kind == 'children' then
    return queue.receive_children(messages)
  elseif kind == 'forward' then
    return queue.receive_forward(messages)
  elseif kind == 'expand' then
    return queue.receive_expand(messages[1])
  end
  return 0
end

-- Fails before anything is written if another program has put another type there.
redis.call('ZCARD', key.outbox)
redis.call('HLEN', key.staged)
redis.call('ZCARD', key.drafts)
local is_first = not meta.added
local last = queue.number(redis.call('HGET', key.sources, args.source))
local from, run = 1, {}
while args.positions[from] and args.positions[from] <= last do
  from = from + 1
end
local kind = queue.kind_of(ARGV[from + 1] or '')
for i = from, #args.positions do
  if queue.kind_of(ARGV[i + 1]) ~= kind then
    break
  end
  run[#run + 1] = ARGV[i + 1]
end
local taken, next_one = 0, ''
if #run > 0 then
  taken, next_one = take(kind, run)
  next_one = next_one or taken == 0 and 'unknown' or ''
end
if taken > 0 then
  last = args.positions[from + taken - 1]
  redis.call('HSET', key.sources, args.source, queue.whole(last))
  -- The queue may have been deleted, and is in use again (delete.lua).
  redis.call('PERSIST', key.sources)
end
queue.flush_events()
queue.save_meta()
local status = is_first and meta.added and 'first' or 'received'
return { status, now_ms, last, taken, next_one, meta.has_sent and 1 or 0 }
