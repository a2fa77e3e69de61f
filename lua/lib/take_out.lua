-- Takes a job out of the collection in which it is (find.lua), other than `active`. The caller then ends or deletes it, and
-- looks for what is due next (delayed.lua) if it was delayed.
-- rarely: unhandled, blocked
function queue.take_out(id, part, record)
  if part == key.unhandled then
    queue.leave_unhandled({ id })
  elseif part == key.blocked then
    queue.leave_blocked(id, record)
  else
    redis.call('ZREM', part, id)
  end
end
