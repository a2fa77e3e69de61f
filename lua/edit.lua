#!lua
-- Changes a job that waits, is blocked or delayed; of a dead job only the record, because it has no place in line.
-- args: id; priority, if it gets another one; due, if it is to be due at another moment: after delay_ms, at at_ms, or now;
-- rewrite, if its record is to hold something else: then ARGV[2] is the record as the caller has seen it, ARGV[3] what is to
-- stand behind the place (fields and body), and payload says where a new payload lies: 'inline' or 'apart', which is ARGV[4].
-- Answers { 'edited', now_ms }; or, if nothing was written, { 'changed', now_ms }: the record is not as the caller has seen it,
-- { 'state', now_ms, state }: the job runs or has ended, { 'ordered', now_ms }: the job has an order, and gets no other
-- priority, or { 'missing', now_ms }.
-- O(log N), and O(lines log N) if the job was delayed. Harmless when repeated.
-- needs: arguments, meta, find_job, places, order, emit, change, moment
-- rarely: shown, lines, delayed, successor, head, types

local id = args.id
local state, score, part, record = queue.find_job(id)
if not state then
  return { 'missing', now_ms }
end
local is_dead = state == 'dead' and args.rewrite and not args.priority and not args.due
if state ~= 'waiting' and state ~= 'blocked' and state ~= 'delayed' and not is_dead then
  return { 'state', now_ms, queue.shown_state(id, state) }
end
if args.rewrite and record ~= ARGV[2] then
  return { 'changed', now_ms }
end

local job = { id = id, state = state, score = score, part = part, record = record }
job.is_successor = state == 'blocked' and queue.is_successor(id, record)
local known_priority = queue.priority_at(queue.places_of({ id })[1])
local new = { priority = args.priority or known_priority, due_ms = queue.due_of_waiting(job) }
if new.priority ~= known_priority and queue.field_of(record, 'order') then
  return { 'ordered', now_ms }
end
if queue.has_traits(record) then
  queue.check_types()
end
new.keeps_order = true
if args.due then
  local due_ms = args.at_ms or args.delay_ms and now_ms + args.delay_ms or 0
  new.due_ms, new.is_moved = due_ms > now_ms and due_ms or 0, true
end
new.front = state == 'delayed' and queue.is_to_front(score)
if args.rewrite then
  new.rest = ARGV[3]
  if args.payload then
    new.payload = args.payload == 'apart' and ARGV[4]
  end
end
queue.emit('edited', { id })
if queue.change(job, new) then
  queue.look_for_due()
end
queue.flush_events()
queue.save_meta()
return { 'edited', now_ms }
