-- Adds up to 256 jobs. args: lane, call, jobs, options, external. `jobs` is how many; their ids
-- are ARGV[2..], their records follow the ids, and large payloads the records, in the order of
-- args.external (positions from 1). options is flat: a position and what is not default about
-- that job, a map of { delay_ms | at_ms, priority, front, await_ms }.
-- Answers { 'added' | 'repeated', now_ms, how many, .. positions (from 0) of ids that were
-- already there }, or { 'superseded', now_ms }.
-- O(n log N).

local status, answer = queue.begin_call(args.lane, args.call)
if status == 'superseded' then
  return { status, now_ms }
end
if status == 'repeated' then
  local reply = { status, now_ms }
  queue.append_list(reply, queue.words(answer))
  return reply
end

local n = args.jobs
local options, external = {}, {}
for i = 1, #args.options, 2 do
  options[args.options[i]] = args.options[i + 1]
end
for k, position in ipairs(args.external) do
  external[position] = k
end

-- When job i becomes due; in the past for one that is ready.
local function due_ms(i)
  local option = options[i]
  return option and (option.at_ms or option.delay_ms and now_ms + option.delay_ms) or 0
end

-- Sorts the jobs out: positions of those that are there already, get in line, are not due.
local known = redis.call('HMGET', key.jobs, unpack(ARGV, 2, n + 1))
local there, waiting, delayed, seen = {}, {}, {}, {}
for i = 1, n do
  local id = ARGV[i + 1]
  if known[i] or seen[id] then
    there[#there + 1] = i - 1
  else
    seen[id] = true
    local line = options[i] and due_ms(i) > now_ms and delayed or waiting
    line[#line + 1] = i
  end
end

-- The ids of the jobs at `positions`. Stores their records, each with its place in front.
local function store(positions, places)
  local ids, fields, payloads, awaited = {}, {}, {}, {}
  local inline, apart = queue.record_head(false), #args.external > 0 and queue.record_head(true)
  for k = 1, #positions do
    local i = positions[k]
    local id, head = ARGV[i + 1], external[i] and apart or inline
    ids[k] = id
    fields[2 * k - 1], fields[2 * k] = id, head .. places[k] .. ' ' .. ARGV[n + 1 + i]
    if external[i] then
      queue.append(payloads, id, ARGV[2 * n + 1 + external[i]])
    end
    if options[i] and options[i].await_ms then
      queue.append(awaited, queue.whole(now_ms + options[i].await_ms), id)
    end
  end
  redis.call('HSET', key.jobs, unpack(fields))
  if #payloads > 0 then
    redis.call('HSET', key.payloads, unpack(payloads))
    queue.made(key.payloads)
  end
  if #awaited > 0 then
    redis.call('ZADD', key.awaited, 'GT', unpack(awaited))
    queue.made(key.awaited)
  end
  return ids
end

if #waiting > 0 then
  local places = queue.take_places(waiting, options)
  local ids = store(waiting, places)
  queue.enter_line(ids, places)
  if not meta.paused then
    queue.arm(0)
  end
  queue.emit('added', ids)
end
if #delayed > 0 then
  local jobs, tokens = {}, {}
  for k, i in ipairs(delayed) do
    options[i].due_ms = due_ms(i)
    jobs[k] = options[i]
  end
  local ids = store(delayed, queue.first_places(jobs))
  queue.enter_delayed(ids, jobs)
  for k = 1, #ids do
    tokens[k] = ids[k] .. ':' .. queue.whole(jobs[k].due_ms)
  end
  queue.emit('added', ids)
  queue.emit('delayed', tokens)
end
queue.count('added', #waiting + #delayed)
queue.flush_events()
queue.save_meta()

queue.end_call(args.lane, args.call, table.concat(there, ' '))
local reply = { 'added', now_ms }
queue.append_list(reply, there)
return reply
