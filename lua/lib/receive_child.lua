-- Messages of the kind `child`: news of children whose parent is in this queue (tell_far.lua). Texts: the parent, the number of the
-- child, its id, how it stands, what its death means (empty: the parent waits), when it ended (ms), how it ended.
-- needs: message, tell, types

local STANDS = { ended = true, dead = true, removed = true, refused = true }
local MEANS = { [''] = true, fail = true, go_on = true }

-- Tells the parents, by the messages before the first that cannot be read. Returns how many messages that were.
function queue.receive_child(messages)
  queue.check_types()
  redis.call('HLEN', key.attempts)
  redis.call('ZCARD', key.dead)
  local all = {}
  for i = 1, #messages do
    local texts = queue.texts_of(messages[i]) or {}
    if #texts ~= 7 or not (string.find(texts[2], '^%d+$') and string.find(texts[6], '^%d+$'))
      or not (STANDS[texts[4]] and MEANS[texts[5]]) then
      break
    end
    all[i] = {
      parent = texts[1], number = texts[2], id = texts[3], to = texts[4], on_death = texts[5], at = texts[6],
      outcome = texts[7],
    }
  end
  queue.hear(all)
  return #all
end
