-- Where it is recorded of a job what it knows of its children (children.lua). How many fields that are is the ninth of the job's
-- counters (attempts.lua).
-- needs: whole

local CHILDREN = 9

function queue.child_field(parent, number)
  return parent .. '#child' .. number
end

-- The counters of a job that has so many children.
function queue.count_children(counters, total)
  for i = #counters + 1, CHILDREN - 1 do
    counters[i] = 0
  end
  counters[CHILDREN] = total
  return counters
end

-- How many children these counters tell of.
function queue.counted_children(counters)
  local MOST, total = 10000, counters[CHILDREN]
  return type(total) == 'number' and total > 0 and math.min(total, MOST) or 0
end

-- Appends the field names.
function queue.child_fields(fields, id, counters)
  local total = queue.counted_children(counters)
  if total > 0 then
    fields[#fields + 1] = id .. '#children'
    fields[#fields + 1] = id .. '#on_failure'
    fields[#fields + 1] = id .. '#on_complete'
  end
  for number = 0, total - 1 do
    fields[#fields + 1] = queue.child_field(id, queue.whole(number))
  end
end

-- Jobs that are added when something has become of the children (callbacks.lua): appends what is stored of them with a new parent. callbacks: of
-- some of these names, `<target> <message>`.
function queue.callback_fields(fields, parent, callbacks)
  for _, name in ipairs({ 'on_failure', 'on_complete' }) do
    if callbacks[name] then
      fields[#fields + 1] = parent .. '#' .. name
      fields[#fields + 1] = callbacks[name]
    end
  end
end
