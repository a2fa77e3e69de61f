#!lua
-- Stores a step of a job that runs (lib/steps.lua), or its checkpoint. args: id, receipt, step (its number, from 1; 0 for the
-- checkpoint), and of a step: kind, name, after_ms (when it is due, if it ever is). ARGV[2] is what it gave.
-- Answers { 'stored' | 'lost', now_ms }, or { 'there', now_ms, what is stored under that number }: the first one stays, but for a
-- wait that has found no answer in time, which may become `over`, and the steps of a saga (lib/saga.lua). O(1), and O(waits) for a wait. Harmless when repeated.
-- needs: arguments, refuse, attempts, steps
-- rarely: waits, whole, saga

if queue.refuse() then
  return { 'lost', now_ms }
end

local counters = queue.read_counters(args.id)
local last = queue.stepped(counters)
if args.step == 0 then
  redis.call('HSET', key.attempts, args.id .. '#cursor', ARGV[2])
else
  local field = queue.step_field(args.id, args.step)
  local stored = redis.call('HGET', key.attempts, field)
  local step = { kind = args.kind, name = args.name, due_ms = args.after_ms and now_ms + args.after_ms or 0 }
  local known = queue.read_step(stored)
  local ends_wait = step.kind == 'over' and known and known.kind == 'wait' and known.name == step.name
  local goes_on = known and known.name == step.name and queue.follows(known.kind, step.kind)
  if stored and not goes_on and not (ends_wait and known.due_ms > 0 and known.due_ms <= now_ms) then
    return { 'there', now_ms, stored }
  end
  if step.kind == 'wait' or ends_wait then
    local aside, waits = queue.read_waits(args.id)
    local wait = ends_wait and queue.find_wait(waits, step.name)
    if wait then
      wait.mark, step.due_ms = '!', known.due_ms
    else
      waits[#waits + 1] = { n = queue.whole(args.step), mark = ':', name = step.name }
    end
    queue.write_waits(args.id, aside, waits)
  end
  if step.kind == 'begun' then
    queue.owe_undo(args.id)
  elseif step.kind == 'undone' then
    queue.renew_attempts(counters)
  end
  redis.call('HSET', key.attempts, field, queue.step_text(step, ARGV[2]))
  last = math.max(last, args.step)
end
queue.write_counters(args.id, queue.count_steps(counters, last))
return { 'stored', now_ms }
