-- Messages of the kind `children`: which children a job of this queue has, also those that are not there yet (children.lua). Texts: the
-- job, and for each child its number, its queue (`~` if that is this one), its id, its name.
-- needs: message, children, child_fields
-- rarely: optional

local TEXTS_OF_A_CHILD, TEXTS_AT_MOST = 4, 1025

-- What is noted of the children of one message: a list of fields and values, without those that are known. Nil if the message cannot
-- be read.
local function new_fields(message)
  local texts = queue.texts_of(message) or {}
  if #texts < 1 or #texts > TEXTS_AT_MOST or (#texts - 1) % TEXTS_OF_A_CHILD ~= 0 then
    return nil
  end
  local parent, names, values, total = texts[1], {}, {}, queue.children_of(texts[1])
  for i = 2, #texts, TEXTS_OF_A_CHILD do
    local number, of_queue, id, name = unpack(texts, i, i + 3)
    if not (string.find(number, '^%d+$') and string.find(of_queue .. id .. name, '^%S+$')) then
      return nil
    end
    if total and tonumber(number) < total then
      names[#names + 1] = queue.child_field(parent, number)
      values[#values + 1] = 'open ' .. of_queue .. ' ' .. id .. ' ' .. name .. ' 0 '
    end
  end
  local fields = {}
  if #names > 0 then
    local known = redis.call('HMGET', key.attempts, unpack(names))
    for i = 1, #names do
      if not known[i] then
        fields[#fields + 1], fields[#fields + 2] = names[i], values[i]
      end
    end
  end
  return fields
end

-- Notes the children, by the messages before the first that cannot be read. Returns how many messages that were.
function queue.receive_children(messages)
  for i = 1, #messages do
    local fields = new_fields(messages[i])
    if not fields then
      return i - 1
    end
    if #fields > 0 then
      redis.call('HSET', key.attempts, unpack(fields))
      queue.made(key.attempts)
    end
  end
  return #messages
end
