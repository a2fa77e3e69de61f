-- A message of the kind `expand`, which a queue sends to itself: a draft was committed (draft.lua). Its text: the id of the draft.
-- needs: message, draft, outbox, whole

local MESSAGES_AT_MOST, BYTES_AT_MOST = 256, 1048576

-- Puts a page of the draft into the outbox. Returns 1 when that was the last one: only then has the message been taken, so it stays where
-- it is until the draft is empty. Otherwise 0, and 'again'.
function queue.receive_expand(message)
  local texts = queue.texts_of(message) or {}
  local id = texts[1]
  if #texts ~= 1 then
    return 0
  end
  local draft = queue.draft(id)
  -- Another program deleted it, or there was nothing in it.
  if not draft then
    return 1
  end
  local list, bytes, n = {}, 0, draft.next
  while n < draft.total and #list < 2 * MESSAGES_AT_MOST and bytes < BYTES_AT_MOST do
    local staged = redis.call('HGET', key.staged, id .. ' ' .. queue.whole(n)) or ''
    local target, behind = string.match(staged, '^([^%z]+)%z()')
    if target then
      list[#list + 1], list[#list + 2] = target, string.sub(staged, behind)
    end
    bytes, n = bytes + #staged, n + 1
  end
  if #list > 0 then
    queue.send_all(list)
  end
  queue.cut_draft(id, draft, n)
  if n < draft.total then
    return 0, 'again'
  end
  return 1
end
