-- Children (children.lua) of which their parent will hear nothing: their records are gone, or their parent was not there when they
-- completed. A parent waits for such children for ever, unless somebody drops them: then they are `removed`.
-- Those that the parent has added while it ran have the higher numbers, and a step waits for each of them (spawned.lua).
-- needs: head, whole, children, child_fields, find, attempts, steps, spawned
-- rarely: callbacks

-- Whether a child that its parent takes for one that has not ended has indeed not. `value`: what the record says of its parent.
local function will_end(id, parent, number, value)
  local of_queue, named, position = queue.parent_in(value or '')
  return of_queue == '' and named == parent and position == number and queue.find(id) ~= 'completed'
end

-- The step that waits for each child of a number from `own` on.
local function steps_of_children(parent, counters, own)
  local step_of = {}
  for n = 1, queue.stepped(counters) do
    local first, count = queue.children_of_step(redis.call('HGET', key.attempts, queue.step_field(parent, n)))
    for number = math.max(own, first), first + count - 1 do
      step_of[number] = n
    end
  end
  return step_of
end

-- Of the job `parent`: a list of { id, field, was (its standing), who, number, step (which waits for it; nil: the job itself does) } of those that
-- are missing, and how many of the others for which the job itself waits are surely open. `far`: children in other queues are missing,
-- too: if they have ended while the parent was not here, nobody says so again.
function queue.missing_children(parent, far)
  local AT_A_TIME = 256
  local record = redis.call('HGET', key.jobs, parent) or ''
  local counters = queue.read_counters(parent)
  local own = tonumber(queue.field_of(record, 'children') or '') or 0
  local total = math.max(math.min(own, 10000), queue.counted_children(counters))
  local step_of = total > own and steps_of_children(parent, counters, own) or {}
  local missing, open = {}, 0
  for from = 0, total - 1, AT_A_TIME do
    local fields = {}
    for number = from, math.min(total, from + AT_A_TIME) - 1 do
      fields[#fields + 1] = queue.child_field(parent, queue.whole(number))
    end
    local known = redis.call('HMGET', key.attempts, unpack(fields))
    for i = 1, #fields do
      local number = from + i - 1
      local standing, of_queue, id, name = string.match(known[i] or '', '^(%l+) (%S+) (%S+) (%S+) ')
      local may_end = standing == 'open' or standing == 'dead'
      local is_near = of_queue == '~'
      local child = may_end and is_near and redis.call('HGET', key.jobs, id)
      local is_here = child and will_end(id, parent, queue.whole(number), queue.field_of(child, 'parent'))
      if may_end and not is_here and (is_near or far) then
        missing[#missing + 1] = {
          id = id, field = fields[i], was = standing, who = of_queue .. ' ' .. id .. ' ' .. name,
          number = queue.whole(number), step = step_of[number],
        }
      elseif number < own and (standing == 'open' or is_here and queue.field_of(child, 'on_death') ~= 'go_on') then
        open = open + 1
      end
    end
  end
  return missing, open
end

-- Notes of these children, as of `missing_children`, that they were removed. Returns how many the job itself still waits for. Appends the
-- parent to the list `told` if one of its steps waits for nothing any more.
function queue.drop_children(parent, missing, surely_open, told)
  local total, open, left = queue.children_of(parent)
  for _, child in ipairs(missing) do
    redis.call('HSET', key.attempts, child.field, 'removed ' .. child.who .. ' ' .. now_text .. ' ')
    if child.step then
      queue.tell_step(parent, child.step, child.number, true, false, told)
    else
      open = open - 1
      left = left and child.was == 'open' and queue.call_back(parent, left, false) or left
    end
  end
  open = math.max(open, surely_open)
  redis.call('HSET', key.attempts, parent .. '#children', queue.counts_text(total, open, left))
  return open
end
