-- How a job gets in line as a new one would, though it was there before: it was changed (change.lua), or what it waited for has
-- ended (successor.lua).
-- needs: gate, whole
-- rarely: optional, enter, emit
-- with all: hold, gated, admit

-- `place` is what its record says. new: { priority, due_ms (0 for now), front }. is_placed: that is its place in line, or among
-- the jobs of its order; otherwise it is due later, and gets one then.
function queue.line_up(id, record, place, new, is_placed)
  local held, open = {}, {}
  if is_placed and queue.gate_of(record) then
    local stalls = queue.has(key.stalls) and redis.call('HMGET', key.stalls, id) or {}
    held, open = queue.enter_gates({ id }, { record }, { place }, { [id] = new.due_ms }, stalls)
  end
  if held[id] then
    return #open > 0 and queue.admit(open)
  end
  if new.due_ms > 0 then
    queue.enter_delayed({ id }, { new })
    if not is_placed and queue.gate_of(record) then
      queue.expect_group(new.due_ms)
    end
    queue.emit('delayed', { id .. ':' .. queue.whole(new.due_ms) })
  else
    queue.enter_line({ id }, { place })
    queue.emit('waiting', { id })
  end
end
