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

-- Sorts numbers, and texts that begin with a number, by these numbers.
function queue.sort_by_number(list)
  local function number_of(item)
    return tonumber(string.match(item, '^%d+'))
  end
  table.sort(list, function(one, other)
    return number_of(one) < number_of(other)
  end)
end
