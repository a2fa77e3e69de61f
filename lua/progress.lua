-- Stores how far a running job is. args: id, fence; the value is ARGV[2]. A large value is not
-- in the event: the stream's cap counts ids, not bytes.
-- Answers { 'stored' | 'lost', now_ms }. O(1). Harmless when repeated.

local VALUE_IN_EVENT_MAX = 256

local claims = read_claims({ args.id })
if not claims[1] or unpack_claim(claims[1]) ~= args.fence then
  count('refused', 1)
  return { 'lost', now_ms }
end
redis.call('HSET', key_progress, args.id, ARGV[2])
emit('progress', { args.id })
if #ARGV[2] <= VALUE_IN_EVENT_MAX then
  emit_value('value', ARGV[2])
end
flush_events()
save_meta()
return { 'stored', now_ms }
