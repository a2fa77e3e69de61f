-- When a job is due that meets another one with its unique key, and asks for a debounce (duplicate.lua).
-- rarely: head

-- When a job that is sent with this option is due; 0 for now.
function queue.due_of_new(option)
  local due_ms = option.at_ms or option.delay_ms and now_ms + option.delay_ms or 0
  return due_ms > now_ms and due_ms or 0
end

-- When the job that waits is due then: when the one that was sent would be, but no more than `wait_at_most` (ms) after the moment at
-- which it was enqueued. Returns that, and whether that moment is to stay in its record.
function queue.due_of_debounced(job, sent, option)
  local due_ms = queue.due_of_new(option)
  local most_ms = tonumber(queue.sent_field(sent, 'wait_at_most') or '')
  if not most_ms then
    return due_ms, false
  end
  -- Behind the version: MessagePack, when the job was enqueued. Another program may have written something else.
  local is_read, since_ms = pcall(cmsgpack.unpack, string.sub(job.record, 2, 10))
  if is_read and type(since_ms) == 'number' then
    due_ms = math.min(due_ms, since_ms + most_ms)
  end
  return due_ms > now_ms and due_ms or 0, true
end
