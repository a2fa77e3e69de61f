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
