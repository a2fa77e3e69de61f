#!lua
-- Sends what was staged in a draft (lib/draft.lua), and adds up to 256 jobs in the same step. args: queue (the name of this one), draft, total (so many
-- messages were staged), keep_ms, for how long it is remembered that the draft was committed; jobs, options, external, and what
-- stands behind ARGV[1], as in `enqueue`.
-- Answers { 'committed' | 'first', now_ms } ('first': the queue is new), also if this is a repeat; { 'gone', now_ms } if the draft is not there, or not
-- with all its messages; { 'met', now_ms, position, id } if the job at that position (from 0) cannot be added, because a job has its id, or
-- another one its unique key. Then nothing was written. O(n log N).
-- needs: arguments, meta, draft, message, outbox, jobs_of_call, add, emit
-- rarely: head, types
-- with all: unique

local draft, is_remembered = queue.draft(args.draft)
if is_remembered and (not draft or draft.is_sent) then
  return { 'committed', now_ms }
end
if not draft or draft.is_sent or draft.next > 0 or draft.total ~= args.total then
  return { 'gone', now_ms }
end

local list, n, options, external = queue.jobs_of_call(0)
if options.traits then
  queue.check_types()
end

-- The first job that cannot be added, and which job is in its way.
local function meet()
  local known = n > 0 and redis.call('HMGET', key.jobs, unpack(list, 2, n + 1)) or {}
  local ids, names = {}, {}
  for i = 1, n do
    local id = list[i + 1]
    local name = options[i] and options[i].traits and queue.sent_field(list[n + 1 + i], 'unique')
    local owner = name and not names[name] and queue.owner_of_key(name)
    local other = (known[i] or ids[id]) and id or name and names[name] or owner and owner.id
    if other then
      return i, other
    end
    ids[id] = true
    if name then
      names[name] = id
    end
  end
end

local position, other = meet()
if position then
  -- A key that was free is not in its fields any more.
  queue.flush_events()
  queue.save_meta()
  return { 'met', now_ms, position - 1, other }
end
-- Fails before anything is written if another program has put another type there.
redis.call('ZCARD', key.outbox)
redis.call('HLEN', key.sources)
local is_first = not meta.added
if n > 0 then
  queue.add(list, n, options, external, false)
end
draft.is_sent = true
queue.save_draft(args.draft, draft)
queue.remember_draft(args.draft, args.keep_ms)
queue.send(args.queue, queue.message('expand', { args.draft }))
queue.flush_events()
queue.save_meta()
return { is_first and n > 0 and 'first' or 'committed', now_ms }
