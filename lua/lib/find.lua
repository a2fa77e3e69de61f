-- Where a job is: a job is in exactly one collection. The states `waiting` and `completed` are each spread over
-- several collections.
queue.COLLECTIONS = {
  { state = 'waiting', part = key.waiting }, { state = 'waiting', part = key.suspects },
  { state = 'waiting', part = key.unhandled }, { state = 'blocked', part = key.blocked },
  { state = 'delayed', part = key.delayed },
  { state = 'active', part = key.active }, { state = 'completed', part = key.completed },
  { state = 'completed', part = key.kept }, { state = 'dead', part = key.dead },
}

-- Returns the state, the score and the collection's key; or nil.
function queue.find(id)
  for _, collection in ipairs(queue.COLLECTIONS) do
    local score = redis.call('ZSCORE', collection.part, id)
    if score then
      return collection.state, score, collection.part
    end
  end
  return nil
end
