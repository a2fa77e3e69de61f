-- Messages of the kind `job`: each is a job for this queue. Its texts: what is not default about the job (a MessagePack map, as
-- add.lua has it), its id, its record as a client sends it, and its payload if that lies apart.
-- needs: batch, message
-- rarely: types

-- Adds the jobs of these messages, those before the first that cannot be read. Returns how many messages that were. A job whose id is
-- there stays out, and one whose unique key another job has fares as if it had been enqueued.
function queue.receive_jobs(messages)
  local batch, n = queue.new_batch(), 0
  for i = 1, #messages do
    local texts = queue.texts_of(messages[i]) or {}
    local is_read, option = pcall(cmsgpack.unpack, texts[1] or '')
    if not (is_read and type(option) == 'table' and texts[3]) then
      break
    end
    queue.add_to_batch(batch, texts[2], texts[3], texts[4], option)
    n = i
  end
  if batch.options.traits then
    queue.check_types()
  end
  queue.add_batch(batch)
  return n
end
