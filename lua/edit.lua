#!lua
-- Changes a job that waits, is blocked or delayed. args: id; priority, if it gets another one; due, if it is to be due at another moment: after
-- delay_ms, at at_ms, or now; rewrite, if its record is to hold something else: then ARGV[2] is the record as the caller has seen it,
-- ARGV[3] what is to stand behind the place (fields and body), and payload says where a new payload lies: 'inline' or
-- 'apart', which is ARGV[4].
-- Answers { 'edited', now_ms }; or, if nothing was written, { 'changed', now_ms }: the record is not as the caller has seen it,
-- { 'state', now_ms, state }: the job runs or has ended, { 'gated', now_ms }: the job has a group or an order, which decides when
-- it runs, or { 'missing', now_ms }.
-- O(log N), and O(lines log N) if the job was delayed. Harmless when repeated.
-- needs: arguments, meta, find, places, order, whole, emit
-- rarely: head, take_out, shown, enter, delayed, lines, optional, arm

local EXTERNAL_PAYLOAD = 128

local id = args.id
local state, score, part = queue.find(id)
local record = state and redis.call('HGET', key.jobs, id)
local place = record and queue.place_in(record)
-- What has no record that can be read is no job: another program wrote it.
if not place then
  return { 'missing', now_ms }
end
if state ~= 'waiting' and state ~= 'blocked' and state ~= 'delayed' then
  return { 'state', now_ms, queue.shown_state(id, state) }
end
if args.rewrite and record ~= ARGV[2] then
  return { 'changed', now_ms }
end

local known_priority = queue.priority_at(queue.places_of({ id })[1])
local priority = args.priority or known_priority
local is_reordered = priority ~= known_priority

if (is_reordered or args.due) and queue.has_traits(record) then
  return { 'gated', now_ms }
end

-- A job in line is due now.
local was_delayed, due_ms, front = state == 'delayed', now_ms, false
if was_delayed then
  due_ms = tonumber(queue.due_of(score))
  front = queue.is_to_front(score)
end
if args.due then
  due_ms = args.at_ms or args.delay_ms and now_ms + args.delay_ms or now_ms
end
local is_delayed = due_ms > now_ms
-- What is in line, and stays so, keeps its place.
local stays = not is_reordered and (not args.due or not (was_delayed or is_delayed))

-- As long as its place is known.
if not stays then
  queue.take_out(id, part)
  if was_delayed then
    queue.look_for_due()
  end
end
if args.rewrite or is_reordered then
  local version, rest = string.byte(record), string.sub(record, 12 + #place)
  if is_reordered then
    -- The record tells the priority: it holds the first place of the new one, as the record of a delayed job does.
    place = queue.first_places({ { priority = priority } })[1]
    if queue.has(key.places) then
      redis.call('HDEL', key.places, id)
    end
  end
  if args.rewrite then
    rest = ARGV[3]
  end
  if args.payload == 'apart' then
    version = version % EXTERNAL_PAYLOAD + EXTERNAL_PAYLOAD
    redis.call('HSET', key.payloads, id, ARGV[4])
    queue.made(key.payloads)
  elseif args.payload == 'inline' then
    version = version % EXTERNAL_PAYLOAD
    if queue.has(key.payloads) then
      redis.call('HDEL', key.payloads, id)
    end
  end
  redis.call('HSET', key.jobs, id, string.char(version) .. string.sub(record, 2, 10) .. place .. ' ' .. rest)
end
queue.emit('edited', { id })
if not stays then
  if is_delayed then
    queue.enter_delayed({ id }, { { due_ms = due_ms, priority = priority, front = front } })
    queue.emit('delayed', { id .. ':' .. queue.whole(due_ms) })
  else
    queue.enter_anew({ id }, { [id] = { priority = priority, front = front } })
    queue.emit('waiting', { id })
    if not meta.paused then
      queue.arm(0)
    end
  end
end
queue.flush_events()
queue.save_meta()
return { 'edited', now_ms }
