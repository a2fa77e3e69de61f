-- Helpers for lists of pairs, and for lists that are written as text.

function queue.append(list, first, second)
  local at = #list
  list[at + 1], list[at + 2] = first, second
end

function queue.words(text)
  local list = {}
  for word in string.gmatch(text, '%S+') do
    list[#list + 1] = word
  end
  return list
end

-- What belongs to each of these ids.
function queue.in_order(ids, by_id)
  local list = {}
  for i = 1, #ids do
    list[i] = by_id[ids[i]]
  end
  return list
end
