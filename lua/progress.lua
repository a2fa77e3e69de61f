#!lua flags=allow-oom
-- Stores how far a running job is. args: id, receipt; the value is ARGV[2]. A large value is not
-- in the event: the stream's cap counts ids, not bytes.
-- Answers { 'stored' | 'lost', now_ms }. O(1). Harmless when repeated.
-- needs: arguments, count
-- rarely: emit, emit_value, meta

local VALUE_IN_EVENT_MAX = 256

if redis.call('HGET', key.claims, args.id) ~= args.receipt then
  queue.count('refused', 1)
  return { 'lost', now_ms }
end
redis.call('HSET', key.progress, args.id, ARGV[2])
queue.emit('progress', { args.id })
if #ARGV[2] <= VALUE_IN_EVENT_MAX then
  queue.emit_value('value', ARGV[2])
end
queue.flush_events()
queue.save_meta()
return { 'stored', now_ms }
