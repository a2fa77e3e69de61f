-- Jobs that a flow adds when something has become of the children of a job (children.lua), each once: the fields `<id>#on_failure`,
-- when one of them is dead, and `<id>#on_complete`, when each of them has ended or was dead once. Each is `<target> <message>`, a
-- message of the kind `job` (receive_jobs.lua), which goes into the outbox; the field goes in the same step. It is stored as it is
-- sent, as text: a byte from 128 on is the UTF-8 character of that number, because Redis reads no binary in MessagePack.
-- rarely: outbox

local function bytes_of(text)
  local bytes = {}
  for byte = 128, 255 do
    bytes[string.char(byte < 192 and 194 or 195, 128 + byte % 64)] = string.char(byte)
  end
  return (string.gsub(text, '[\194\195][\128-\191]', bytes))
end

local function send(parent, name)
  local field = parent .. '#' .. name
  local callback = bytes_of(redis.call('HGET', key.attempts, field) or '')
  local target = string.match(callback, '^%S+')
  -- Under the key of the outbox may lie what another program has put there: then the field stays.
  if target and type(redis.pcall('ZCARD', key.outbox)) == 'number' then
    redis.call('HDEL', key.attempts, field)
    queue.send(target, string.sub(callback, #target + 2))
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
