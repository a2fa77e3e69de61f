-- One idle worker keeps the timer for the next moment at which there will be work; the others need not wake for it.
-- meta.timer is `<ms> <worker>`, or `<ms> -` as long as no worker keeps it (opening.lua).
-- Returns the moment this caller has to be back, or nil.
-- needs: arguments, meta, whole
-- rarely: arm
function queue.hold_timer(due_ms)
  if not args.hold then
    queue.arm(due_ms)
    return nil
  end
  local mine = queue.whole(due_ms) .. ' ' .. args.worker
  local held_due, holder = string.match(meta.timer or '', '^(%d+) (.*)$')
  if holder and holder ~= args.worker and holder ~= '-' and tonumber(held_due) == due_ms then
    return nil
  end
  if meta.timer ~= mine then
    queue.set_meta('timer', mine)
  end
  return due_ms
end

-- The caller keeps no timers, or none any more, because it stops: if it has kept this one, the next caller takes it.
function queue.leave_timer_to_others()
  local held_due, holder = string.match(meta.timer, '^(%d+) (.*)$')
  if holder == args.worker then
    queue.set_meta('timer', held_due .. ' -')
  end
end
