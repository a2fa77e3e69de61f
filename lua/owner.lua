#!lua flags=no-writes
-- The job that has a unique key now (lib/unique.lua). args: name, the key as it is stored.
-- Answers { 'owner', now_ms, id }, or { 'free', now_ms }. O(log N).
-- needs: arguments, find
-- rarely: owns

local id = redis.call('HGET', key.unique, args.name)
if id then
  local until_ms = tonumber(redis.call('ZSCORE', key.remembered, args.name) or '')
  local state = queue.find(id)
  local is_there = state and redis.call('HEXISTS', key.jobs, id) == 1
  if queue.owns_key(is_there and state, until_ms) then
    return { 'owner', now_ms, id }
  end
end
return { 'free', now_ms }
