-- Where a job is: a job is in exactly one collection. `waiting` and `completed` are each one
-- state in two collections.
local COLLECTIONS = {
  { 'waiting', key_waiting }, { 'waiting', key_suspects }, { 'delayed', key_delayed },
  { 'active', key_active }, { 'completed', key_completed }, { 'completed', key_answers },
  { 'dead', key_dead },
}

-- Returns the state, the score and the collection's key; or nil.
local function find(id)
  for _, collection in ipairs(COLLECTIONS) do
    local score = redis.call('ZSCORE', collection[2], id)
    if score then
      return collection[1], score, collection[2]
    end
  end
  return nil
end
