-- The replies of a job: what its handler has sent to callers while it ran. A reply is the field `<id>#reply<n>` of `attempts`, so it
-- goes with whatever else is recorded of the job. They are numbered from 1 per job, whichever attempt has sent them; how many there are
-- and how many bytes they have are the tenth and the eleventh of the job's counters (attempts.lua).
-- needs: whole

local REPLIES, BYTES = 10, 11
queue.REPLIES_MAX = 1000

-- How many there are, and how many bytes.
function queue.replied(counters)
  local replies, bytes = counters[REPLIES], counters[BYTES]
  if type(replies) ~= 'number' or replies < 0 or type(bytes) ~= 'number' or bytes < 0 then
    return 0, 0
  end
  return math.min(replies, queue.REPLIES_MAX), bytes
end

function queue.reply_field(id, number)
  return id .. '#reply' .. queue.whole(number)
end

-- Appends the names of all fields.
function queue.reply_fields(fields, id, counters)
  for number = 1, queue.replied(counters) do
    fields[#fields + 1] = queue.reply_field(id, number)
  end
end

-- The counters with other numbers of replies and bytes.
function queue.count_replies(counters, replies, bytes)
  for i = #counters + 1, REPLIES - 1 do
    counters[i] = 0
  end
  counters[REPLIES], counters[BYTES] = replies, bytes
  return counters
end
