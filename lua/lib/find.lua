-- Where a job is: a job is in exactly one collection. The states `waiting` and `completed` are each spread over
-- several collections.
local COLLECTIONS = {
  { 'waiting', key.waiting }, { 'waiting', key.suspects }, { 'waiting', key.unhandled },
  { 'delayed', key.delayed }, { 'active', key.active }, { 'completed', key.completed },
  { 'completed', key.kept }, { 'dead', key.dead },
}

-- Returns the state, the score and the collection's key; or nil.
function queue.find(id)
  for _, collection in ipairs(COLLECTIONS) do
    local score = redis.call('ZSCORE', collection[2], id)
    if score then
      return collection[1], score, collection[2]
    end
  end
  return nil
end
