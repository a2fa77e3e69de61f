-- What a job waits for: the field `<id>#waits` of `attempts`. First until when (ms) the job is put aside; 0 until it is told, `-`
-- if it is not put aside. Then its steps of the kind `wait` (steps.lua), in order, each `<n>:<name>`; or `<n>=<name>` once it is
-- answered, and `<n>!<name>` once it is over. So a signal finds its step without reading the others, which may be large.

-- Until when, as text, and a list of { n (as text), mark, name }.
function queue.read_waits(id)
  local waits, aside = {}, nil
  for word in string.gmatch(redis.call('HGET', key.attempts, id .. '#waits') or '-', '%S+') do
    local n, mark, name = string.match(word, '^(%d+)([:=!])(.+)$')
    if n then
      waits[#waits + 1] = { n = n, mark = mark, name = name }
    else
      aside = word
    end
  end
  return aside, waits
end

function queue.write_waits(id, aside, waits)
  local words = { aside }
  for _, wait in ipairs(waits) do
    words[#words + 1] = wait.n .. wait.mark .. wait.name
  end
  redis.call('HSET', key.attempts, id .. '#waits', table.concat(words, ' '))
end

-- The first of these waits for this name that is open, or else one that was answered; nil if there is neither.
function queue.find_wait(waits, name)
  local answered
  for _, wait in ipairs(waits) do
    if wait.name == name and wait.mark == ':' then
      return wait
    end
    answered = answered or wait.name == name and wait.mark == '=' and wait
  end
  return answered or nil
end

-- Whether a blocked job is put aside until it is told something, as far as is known here.
function queue.is_untold(id)
  return queue.read_waits(id) == '0'
end
