-- A message of the kind `cancel`: jobs of this queue are to end. Its texts: what is stored as their outcome, and their ids.
-- needs: message, cancel

local IDS_AT_MOST = 256

-- Returns how many messages that were: one, or none if it cannot be read.
function queue.receive_cancel(message)
  local texts = queue.texts_of(message) or {}
  if #texts < 2 or #texts > IDS_AT_MOST + 1 then
    return 0
  end
  queue.cancel(texts, 2, texts[1])
  return 1
end
