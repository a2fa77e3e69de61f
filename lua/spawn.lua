#!lua
-- Adds children to a job that runs, and stores the step that waits for them (lib/spawned.lua). args: id, receipt, step, name, first (the number that
-- the first of them has among the job's children), count (how many they are); and jobs, options, external, and what stands behind ARGV[1], as in
-- `enqueue`: the children, and what is below them, each parent before its children. All of them are added, or none.
-- Answers { 'stored' | 'lost', now_ms }; { 'there', now_ms, what is stored under that number }; { 'moved', now_ms, the number that the first
-- of them has to have }; or { 'met', now_ms, .. what `enqueue` says of each }, if one of them cannot be added. Only the first of these adds anything.
-- Harmless when repeated. O(n log N).
-- needs: arguments, meta, refuse, steps, children, child_fields, jobs_of_call, whole, emit
-- rarely: add, attempts, reply

if queue.refuse() then
  return { 'lost', now_ms }
end
local step = queue.step_field(args.id, args.step)
local stored = redis.call('HGET', key.attempts, step)
if stored then
  return { 'there', now_ms, stored }
end
local total, open, left = queue.children_of(args.id)
if (total or 0) ~= args.first then
  return { 'moved', now_ms, total or 0 }
end

local list, n, options, external = queue.jobs_of_call(0)
options.of = args.id
local met = n > 0 and queue.add(list, n, options, external, true) or {}
if #met == 0 then
  local counters = queue.read_counters(args.id)
  counters = queue.count_steps(counters, math.max(queue.stepped(counters), args.step))
  local value = queue.whole(args.first) .. ' ' .. queue.whole(args.count) .. ' ' .. queue.whole(args.count)
  local text = queue.step_text({ kind = 'children', due_ms = 0, name = args.name }, value)
  redis.call('HSET', key.attempts, step, text)
  if args.count > 0 then
    total = args.first + args.count
    counters = queue.count_children(counters, total)
    redis.call('HSET', key.attempts, args.id .. '#children', queue.counts_text(total, open or 0, left))
  end
  queue.write_counters(args.id, counters)
end
queue.flush_events()
queue.save_meta()
local reply = { #met == 0 and 'stored' or 'met', now_ms }
if #met > 0 then
  queue.append_list(reply, met)
end
return reply
