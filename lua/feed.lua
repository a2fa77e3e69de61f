#!lua
-- Adds jobs that are made of the entries of a log, each entry once. args: source, the name of the log; positions, of each job that of its entry, rising;
-- token, another one for each call, the same if it is repeated; after (optional): the position of the entry before these; upto (optional): the position of the last entry, where entries of which no job is made
-- come behind the last job; most: so many sources are remembered; jobs, options, external,
-- and what stands behind ARGV[1], as in `enqueue`.
--
-- `fed` has for each source the last position of which a job was added: `<position> <token of that call> <position before it, or ->`. Jobs of
-- positions that are not above it are left out, and the position is moved in the same script that adds the others.
-- Answers { 'fed' | 'first', now_ms, the position before (-1 for none), the position now } ('first': the queue is new), also to a repeat, unless
-- another call has moved the position since; or { 'full', now_ms }: too many sources; or { 'behind', now_ms }: the queue stands before
-- `after`, so what it took since was lost, and these would hide that. With no job and no upto it only reads. O(n log N).
-- needs: arguments, meta, whole, jobs_of_call, add, emit

local stored = redis.call('HGET', key.fed, args.source)
local stands, token, before = string.match(stored or '', '^(%d+) (%S+) ([%d-]+)$')
stands, before = tonumber(stands), tonumber(before)
assert(stands or not stored, 'somebody else wrote how far the queue was fed')
if token == args.token then
  return { 'fed', now_ms, before or -1, stands }
end
if args.after and (not stands or stands < args.after) then
  return { 'behind', now_ms }
end
local last = args.upto or args.positions[args.jobs]
local old = 0
while stands and old < args.jobs and args.positions[old + 1] <= stands do
  old = old + 1
end
if old == args.jobs and (not args.upto or stands and stands >= args.upto) then
  return { 'fed', now_ms, stands or -1, stands or -1 }
end
if not stored and redis.call('HLEN', key.fed) >= args.most then
  return { 'full', now_ms }
end

-- Without those whose entries the queue has passed.
local is_first = not meta.added
if old < args.jobs then
  local list, left, options, external = queue.jobs_of_call(old)
  queue.add(list, left, options, external, true)
end
redis.call('HSET', key.fed, args.source,
  queue.whole(last) .. ' ' .. args.token .. ' ' .. (stands and queue.whole(stands) or '-'))
queue.flush_events()
queue.save_meta()
return { is_first and meta.added and 'first' or 'fed', now_ms, stands or -1, last }
