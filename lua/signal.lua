#!lua
-- Gives a job the value that it waits for (lib/steps.lua). args: id, name (of the step). ARGV[2] is the value. If the job was put
-- aside, it gets in line at once, at the back of its priority, as far as its gate lets it (lib/gate.lua).
-- Answers { 'signalled' | 'already' (the first value stays) | 'not_waiting' | 'missing', now_ms }; or { 'ended', now_ms, state }. Only the first of these writes. O(waits + log N), and
-- O(lines log N) if the job was delayed. Harmless when repeated.
-- needs: arguments, meta, find_job, waits, steps
-- rarely: shown, head, types, moment, wake, emit

local id = args.id
local state, score, part, record = queue.find_job(id)
if not state then
  return { 'missing', now_ms }
end
if state == 'completed' then
  return { 'ended', now_ms, queue.shown_state(id, state) }
end
local aside, waits = queue.read_waits(id)
local wait = queue.find_wait(waits, args.name)
local field = wait and queue.step_field(id, wait.n)
local step = wait and queue.read_step(redis.call('HGET', key.attempts, field))
if not step or wait.mark == '=' or step.kind ~= 'wait' then
  return { step and step.kind == 'signal' and 'already' or 'not_waiting', now_ms }
end
if queue.has_traits(record) then
  queue.check_types()
end

local is_aside = queue.suspended_until({ id = id, state = state, score = score })
wait.mark, step.kind = '=', 'signal'
redis.call('HSET', key.attempts, field, queue.step_text(step, ARGV[2]))
queue.write_waits(id, aside, waits)
if is_aside then
  queue.wake(id, record, part)
end
queue.flush_events()
queue.save_meta()
return { 'signalled', now_ms }
