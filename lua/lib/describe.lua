-- All that is known of jobs, as clients read it (src/store/get.rs).
-- needs: optional, lists
-- rarely: attempts, lines


-- What may be stored beside the records of jobs in `state`: a list of { name, key }.
function queue.stored_beside(state)
  local beside = {}
  local function add(name, part, is_used)
    if is_used then
      beside[#beside + 1] = { name, part }
    end
  end
  add('payload', key.payloads, queue.has(key.payloads))
  add('claim', key.claims, state == 'active')
  add('stalls', key.stalls, queue.has(key.stalls))
  add('counters', key.attempts, queue.has(key.attempts))
  add('outcome', key.results, state == 'completed' or state == 'dead')
  add('progress', key.progress, queue.has(key.progress))
  return beside
end

-- Appends to `reply` the record of a job, the number of things that are stored beside it, and each of them: its name and
-- its value. Each recorded attempt is one (`attempt`), the oldest first. Returns how many bytes that is.
function queue.describe(reply, id, record, beside)
  local at, found, bytes = #reply + 2, 0, #record
  reply[at - 1], reply[at] = record, 0
  if #beside == 0 then
    return bytes
  end
  local function add(name, value)
    if value then
      found, bytes = found + 1, bytes + #value
      queue.append(reply, name, value)
    end
  end
  for i = 1, #beside do
    local name, part = beside[i][1], beside[i][2]
    local value = redis.call('HGET', part, id)
    add(name, value)
    local fields = value and name == 'counters' and queue.attempt_fields(id, queue.counters_in(value))
    if fields and #fields > 0 then
      local attempts = redis.call('HMGET', part, unpack(fields))
      for k = 1, #fields do
        add('attempt', attempts[k])
      end
    end
  end
  reply[at] = found
  return bytes
end

-- A score as it is shown: of a delayed job, the moment when it is due.
function queue.shown_score(state, score)
  return state == 'delayed' and queue.due_of(score) or score
end
