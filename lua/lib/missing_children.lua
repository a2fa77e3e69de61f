-- Children (children.lua) of which their parent will hear nothing: their records are gone, or their parent was not there when they
-- completed. A parent waits for such children for ever, unless somebody drops them: then they are `removed`.
-- Only those for which the parent waits before it first runs: their numbers are the first (spawned.lua).
-- needs: head, whole, children, child_fields, find
-- rarely: callbacks

-- Whether a child that its parent takes for one that has not ended has indeed not. `value`: what the record says of its parent.
local function will_end(id, parent, number, value)
  local of_queue, named, position = queue.parent_in(value or '')
  return of_queue == '' and named == parent and position == number and queue.find(id) ~= 'completed'
end

-- Of the job `parent`: a list of { id, field, was (its standing), who } of those that are missing, and how many are surely open.
function queue.missing_children(parent)
  local AT_A_TIME, MOST = 256, 10000
  local own = redis.call('HGET', key.jobs, parent) or ''
  local total = tonumber(queue.field_of(own, 'children') or '') or 0
  local missing, open = {}, 0
  for from = 0, math.min(total, MOST) - 1, AT_A_TIME do
    local fields = {}
    for number = from, math.min(total, from + AT_A_TIME) - 1 do
      fields[#fields + 1] = queue.child_field(parent, queue.whole(number))
    end
    local known = redis.call('HMGET', key.attempts, unpack(fields))
    for i = 1, #fields do
      local standing, of_queue, id, name = string.match(known[i] or '', '^(%l+) (%S+) (%S+) (%S+) ')
      local may_end = standing == 'open' or standing == 'dead'
      local record = may_end and of_queue == '~' and redis.call('HGET', key.jobs, id)
      local is_here = record and will_end(id, parent, queue.whole(from + i - 1), queue.field_of(record, 'parent'))
      if may_end and of_queue == '~' and not is_here then
        missing[#missing + 1] = { id = id, field = fields[i], was = standing, who = '~ ' .. id .. ' ' .. name }
      elseif standing == 'open' or is_here and queue.field_of(record, 'on_death') ~= 'go_on' then
        open = open + 1
      end
    end
  end
  return missing, open
end

-- Notes of these children, as of `missing_children`, that they were removed. Returns how many are open still.
function queue.drop_children(parent, missing, surely_open)
  local total, open, left = queue.children_of(parent)
  for _, child in ipairs(missing) do
    redis.call('HSET', key.attempts, child.field, 'removed ' .. child.who .. ' ' .. now_text .. ' ')
    left = left and child.was == 'open' and queue.call_back(parent, left, false) or left
  end
  open = math.max(open - #missing, surely_open)
  redis.call('HSET', key.attempts, parent .. '#children', queue.counts_text(total, open, left))
  return open
end
