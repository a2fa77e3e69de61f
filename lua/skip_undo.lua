#!lua
-- The undo of one step of a stuck saga (lib/saga.lua) is left out, because somebody has done it by hand; or, of a step whose end is not
-- known, somebody has seen to it that it has no effect. args: id, name (of the step).
-- Answers { 'skipped' | 'missing' | 'no_step', now_ms }, { 'state', now_ms, state }: the job is not dead, or { 'kind', now_ms, kind }: the
-- step is neither done nor begun. Only the first of these writes. O(steps). Harmless when repeated.
-- needs: arguments, find_job, attempts, steps
-- rarely: shown, saga

local id = args.id
local state = queue.find_job(id)
if not state then
  return { 'missing', now_ms }
end
if state ~= 'dead' then
  return { 'state', now_ms, queue.shown_state(id, state) }
end
if not queue.sagas_among({ id })[id] then
  return { 'no_step', now_ms }
end
for n = 1, queue.stepped(queue.read_counters(id)) do
  local field = queue.step_field(id, n)
  local stored = redis.call('HGET', key.attempts, field)
  local step = queue.read_step(stored)
  if step and step.name == args.name then
    if step.kind ~= 'done' and step.kind ~= 'begun' then
      return { 'kind', now_ms, step.kind }
    end
    local blob = string.match(stored, '^%l+ %d+ %d+ %S+ (.*)$')
    step.kind = step.kind == 'done' and 'skipped' or 'failed'
    redis.call('HSET', key.attempts, field, queue.step_text(step, blob))
    return { 'skipped', now_ms }
  end
end
return { 'no_step', now_ms }
