-- How jobs of which some may have a gate (gate.lua) get in line: those that their gates hold back are blocked instead.
-- needs: whole
-- rarely: enter, gate, order, emit, optional

-- New jobs, which have their places in their records. due_ms[id]: when a job is due.
function queue.enter_or_hold(ids, records, places, due_ms)
  local held = queue.enter_gates(ids, records, places, due_ms)
  local line, at, delayed, options, tokens = {}, {}, {}, {}, {}
  for i = 1, #ids do
    local id, due = ids[i], due_ms[ids[i]] or 0
    if not held[id] and due > now_ms then
      delayed[#delayed + 1], options[#options + 1] = id, { due_ms = due, priority = queue.priority_at(places[i]) }
      tokens[#tokens + 1] = id .. ':' .. queue.whole(due)
    elseif not held[id] then
      line[#line + 1], at[#at + 1] = id, places[i]
    end
  end
  if #line > 0 then
    queue.enter_waiting(line, at)
  end
  queue.enter_delayed(delayed, options)
  queue.emit('delayed', tokens)
end

-- The same of what was stored (add.lua): stored[2 * k] is the record of ids[k], options[positions[k]] what is not default about
-- it.
function queue.enter_new(ids, stored, places, positions, options)
  local records, due_ms = {}, {}
  for k, i in ipairs(positions) do
    records[k], due_ms[ids[k]] = stored[2 * k], options[i] and options[i].due_ms
  end
  queue.enter_or_hold(ids, records, places, due_ms)
end

-- Jobs that get a place that they did not have before. Returns those that are in line.
function queue.enter_at_or_hold(ids, places)
  local held = queue.enter_gates(ids, redis.call('HMGET', key.jobs, unpack(ids)), places)
  local line, at, moved = {}, {}, {}
  for i = 1, #ids do
    if held[ids[i]] then
      moved[#moved + 1], moved[#moved + 2] = ids[i], places[i]
    else
      line[#line + 1], at[#at + 1] = ids[i], places[i]
    end
  end
  if #moved > 0 then
    redis.call('HSET', key.places, unpack(moved))
    queue.made(key.places)
  end
  queue.enter_at(line, at)
  return line
end
