#!lua flags=no-writes
-- All that is known of one job. args: id. O(log N).
-- Answers { 'missing', now_ms }, or { 'found', now_ms, state, score, and what lib/describe.lua says of the job }; of a job in
-- line also how many jobs stand before it there (`position`).
-- needs: arguments, find, lists, shown, describe, whole

local id = args.id
local state, score, part = queue.find(id)
local record = state and redis.call('HGET', key.jobs, id)
if not record then
  return { 'missing', now_ms }
end
local reply = { 'found', now_ms, queue.shown_state(id, state), queue.shown_score(state, score) }
queue.describe(reply, id, record, queue.stored_beside(state))
if part == key.waiting then
  local STORED_BESIDE = 6
  reply[STORED_BESIDE] = reply[STORED_BESIDE] + 1
  queue.append(reply, 'position', queue.whole(redis.call('ZRANK', part, id)))
end
return reply
