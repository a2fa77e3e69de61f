-- Messages of the kind `forward`: each holds a message that this queue is to send to another one. So something that must come behind
-- what this queue does is sent by it, and not beside it. Texts: the target, and the message.
-- needs: message, outbox

-- Returns how many messages were put into the outbox: those before the first that cannot be read.
function queue.receive_forward(messages)
  local list = {}
  for i = 1, #messages do
    local texts = queue.texts_of(messages[i]) or {}
    if #texts ~= 2 then
      break
    end
    list[2 * i - 1], list[2 * i] = texts[1], texts[2]
  end
  if #list > 0 then
    queue.send_all(list)
  end
  return #list / 2
end
