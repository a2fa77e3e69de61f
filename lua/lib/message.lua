-- What queues send to one another (outbox.lua): the kind, a space, and texts, each behind its length (4 bytes, the highest first).

function queue.message(kind, texts)
  local parts = { kind .. ' ' }
  for i = 1, #texts do
    parts[i + 1] = struct.pack('>I4', #texts[i]) .. texts[i]
  end
  return table.concat(parts)
end

-- '' for what is no message.
function queue.kind_of(message)
  return string.match(message, '^(%l+) ') or ''
end

-- The texts behind the kind; nil if it cannot be taken apart.
function queue.texts_of(message)
  local texts, at = {}, #queue.kind_of(message) + 2
  while at <= #message do
    local is_read, text, behind = pcall(struct.unpack, '>I4c0', message, at)
    if not is_read then
      return nil
    end
    texts[#texts + 1], at = text, behind
  end
  return texts
end
