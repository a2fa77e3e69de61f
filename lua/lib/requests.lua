-- Requests to cancel jobs that run: the field `<id>#cancel` of `attempts`. It holds what is stored as the outcome of the job if
-- its attempt ends in any other way than completed (cancelled.lua). The call that ends the attempt takes the request. A plain
-- completion does not look for one: if there is one all the same, because the worker had not heard of it, it goes with the job
-- (attempts.lua).

-- The requests for `ids`, by position; false where there is none.
function queue.read_requests(ids)
  local fields = {}
  for i = 1, #ids do
    fields[i] = ids[i] .. '#cancel'
  end
  return redis.call('HMGET', key.attempts, unpack(fields))
end

-- The same, and deletes them. And what is stored of those that are sagas (saga.lua), by id.
function queue.take_requests(ids)
  local requests, sagas, fields, found = {}, {}, {}, {}
  for i = 1, #ids do
    fields[2 * i - 1], fields[2 * i] = ids[i] .. '#cancel', ids[i] .. '#undo'
  end
  local stored = redis.call('HMGET', key.attempts, unpack(fields))
  for i = 1, #ids do
    requests[i], sagas[ids[i]] = stored[2 * i - 1], stored[2 * i] or nil
    if requests[i] then
      found[#found + 1] = fields[2 * i - 1]
    end
  end
  if #found > 0 then
    redis.call('HDEL', key.attempts, unpack(found))
  end
  return requests, sagas
end
