-- Messages of the kind `job`: each is a job for this queue. Its texts: what is not default about the job (a MessagePack map, as
-- add.lua has it), its id, its record as a client sends it, and its payload if that lies apart.
-- needs: batch, message
-- rarely: types, head, tell

local function has_ended(id)
  return redis.call('ZSCORE', key.completed, id) or redis.call('ZSCORE', key.kept, id) or redis.call('ZSCORE', key.dead, id)
end

-- Jobs could not be added, `there` as of `add` (add.lua). Their parents, if they have any, would wait for ever: they are told why. A job
-- that is there, and is this child, is no news: it tells when it ends. One that has ended told an earlier parent of the same id, and tells nobody
-- again.
local function refuse(batch, there)
  local refused = {}
  for _, met in ipairs(there) do
    local position, owner = string.match(met, '^(%d+):?(.*)$')
    local at = tonumber(position) + 1
    local id, sent = batch.ids[at], batch.records[at]
    local parent = queue.sent_field(sent, 'parent')
    local stored = parent and owner == '' and redis.call('HGET', key.jobs, id)
    local is_this = stored and queue.field_of(stored, 'parent') == parent
    if parent and not (is_this and not has_ended(id)) then
      refused[#refused + 1] = {
        id = id, to = 'refused', parent = parent, on_death = queue.sent_field(sent, 'on_death'),
        outcome = owner == '' and 'another job has its id' or 'job ' .. owner .. ' has its unique key',
      }
    end
  end
  queue.tell_refused(refused)
end

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
    batch.options.apart = true
    queue.check_types()
    redis.call('HLEN', key.attempts)
    redis.call('ZCARD', key.dead)
    redis.call('ZCARD', key.completed)
    redis.call('ZCARD', key.kept)
  end
  local there = queue.add_batch(batch)
  if batch.options.traits and #there > 0 then
    refuse(batch, there)
  end
  return n
end
