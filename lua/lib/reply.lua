-- A list in a flat reply: how many there are, and then each of them. A list in the list would
-- cost as much as a dozen numbers.
function queue.append_list(reply, list)
  local n, at = #list, #reply + 1
  reply[at] = n
  for i = 1, n do
    reply[at + i] = list[i]
  end
end
