-- Jobs that a flow adds when something has become of the children of a job (children.lua), each once: the fields `<id>#on_failure`,
-- when one of them is dead, and `<id>#on_complete`, when each of them has ended or was dead once. Each is `<target> <message>`, a
-- message of the kind `job` (receive_jobs.lua), which goes into the outbox; the field goes in the same step.
-- rarely: outbox

local function send(parent, name)
  local field = parent .. '#' .. name
  local stored = redis.call('HGET', key.attempts, field)
  local target = string.match(stored or '', '^%S+')
  -- Under the key of the outbox may lie what another program has put there: then the field stays.
  if target and type(redis.pcall('ZCARD', key.outbox)) == 'number' then
    redis.call('HDEL', key.attempts, field)
    queue.send(target, string.sub(stored, #target + 2))
  end
end

-- The first news of one of the `left` children that have neither ended nor died. Returns how many are left then.
function queue.call_back(parent, left, is_dead)
  if is_dead then
    send(parent, 'on_failure')
  end
  if left == 1 then
    send(parent, 'on_complete')
  end
  return math.max(0, left - 1)
end

-- What is to be stored of a new parent: appends the fields. callbacks: of some of these names, `<target> <message>`.
function queue.callback_fields(fields, parent, callbacks)
  for _, name in ipairs({ 'on_failure', 'on_complete' }) do
    if callbacks[name] then
      fields[#fields + 1] = parent .. '#' .. name
      fields[#fields + 1] = callbacks[name]
    end
  end
end
