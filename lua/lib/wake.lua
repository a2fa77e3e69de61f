-- A job that was put aside (suspended.lua), or is delayed, gets in line at once, at the back of its priority, as far as its gate lets it
-- (gate.lua).
-- needs: meta, places, order, emit, arm
-- rarely: take_out, delayed, hold, opening, waits

-- `part`: the key that it lies in.
function queue.wake(id, record, part)
  queue.take_out(id, part, record)
  if part == key.delayed then
    queue.look_for_due()
  end
  -- It is not put aside any more, wherever it stands now.
  local aside, waits = queue.read_waits(id)
  if aside ~= '-' then
    queue.write_waits(id, '-', waits)
  end
  local priority = queue.priority_at(queue.places_of({ id })[1])
  local places = queue.take_places({ id }, { [id] = { priority = priority } })
  queue.emit('waiting', queue.enter_at_or_hold({ id }, places))
  if not meta.paused then
    local arm = meta.limited and queue.arm_for_new_job or queue.arm
    arm(0)
  end
end
