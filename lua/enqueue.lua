#!lua
-- Adds up to 256 jobs; with none it asks whether the call ran (lib/once.lua). args: lane, call, jobs, unsure, options,
-- external. `jobs` is how many; their ids are ARGV[2..], their records follow the ids, and large payloads the records, in the
-- order of args.external (positions from 1). options is flat: a position and what is not default about that job, a map of {
-- delay_ms | at_ms, priority, front, await_ms, traits, callbacks (lib/callbacks.lua) }. A call with traits is sent as a second script, `with all`
-- (store/enqueue.rs).
-- Answers { 'added' | 'first' | 'repeated', now_ms, how many, .. positions (from 0) of ids that were
-- already there, and `<position>:<id>` or `<position>~<id>` of jobs whose unique key job `id` has, which stayed as it was or was
-- replaced }, or { 'superseded' | 'asked', now_ms }; and { 'replaced', now_ms, how many records were
-- replaced, how many, .. positions } if other jobs had ids that were said to be new.
-- O(n log N).
-- needs: arguments, meta, once, add, emit, reply
-- rarely: lists

local status, answer = queue.begin_call(args.lane, args.call, args.jobs == 0)
if status == 'superseded' or status == 'asked' then
  return { status, now_ms }
end
if status == 'repeated' then
  -- `WAIT` and `WAITAOF` wait for what this connection has written. So that they wait for the call, which came through another one,
  -- something is written behind it.
  queue.end_call(args.lane, args.call, answer)
  local reply = { status, now_ms }
  queue.append_list(reply, queue.words(answer))
  return reply
end

-- The queue is new, or was deleted: its name may not be on the list of queues.
local is_first = not meta.added
local options, external = {}, {}
for i = 1, #args.options, 2 do
  local option = args.options[i + 1]
  options[args.options[i]], options.traits = option, options.traits or option.traits
end
for k, position in ipairs(args.external) do
  external[position] = k
end

local there, replaced = queue.add(ARGV, args.jobs, options, external, args.unsure)
queue.end_call(args.lane, args.call, table.concat(there, ' '))
queue.flush_events()
queue.save_meta()
local reply = replaced == 0 and { is_first and 'first' or 'added', now_ms } or { 'replaced', now_ms, replaced }
queue.append_list(reply, there)
return reply
