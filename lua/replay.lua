#!lua
-- Puts dead jobs back in line, at the back of their priority and with a fresh budget of
-- attempts and stalls; the history stays. The ids are ARGV[2..].
-- Answers { 'replayed', now_ms, the ids that were dead, { id, state, .. } of the others that are there }. The state
-- `duplicate`: the job is dead, and stays so, because another job has its unique key. O(n log N). Harmless when repeated: what
-- is back in line is not dead.
-- needs: meta, places, order, count, emit
-- rarely: attempts, arm, find, lists, shown, hold, unique, expiry, types, children, child_fields

local function fresh_budget(id)
  local counters = queue.renew_budget(id)
  redis.call('HDEL', key.stalls, id)
  redis.call('HDEL', key.results, id)
  redis.call('HDEL', key.progress, id)
  return counters
end

local replayed, others, options, waits = {}, {}, {}, {}
local places, records = queue.places_of({ unpack(ARGV, 2) })
queue.check_types_for(records)
for i = 2, #ARGV do
  local id, place, record = ARGV[i], places[i - 1], records[i - 1]
  if place and redis.call('ZSCORE', key.dead, id) and not queue.take_key_again(id, record) then
    queue.append(others, id, 'duplicate')
  elseif place and redis.call('ZREM', key.dead, id) == 1 then
    local counters = fresh_budget(id)
    waits[id] = queue.counted_children(counters) > 0 and queue.waits_for_children(id)
    replayed[#replayed + 1] = id
    options[id] = { priority = queue.priority_at(place) }
    queue.expect_first_start(id, record)
  elseif place then
    local state = queue.find(id)
    if state then
      queue.append(others, id, queue.shown_state(id, state))
    end
  end
end

if #replayed > 0 then
  queue.enter_at_or_hold(replayed, queue.take_places(replayed, options), waits)
end
if #replayed > 0 and not meta.paused then
  queue.arm(0)
end
queue.count('replayed', #replayed)
queue.emit('replayed', replayed)
queue.flush_events()
queue.save_meta()
return { 'replayed', now_ms, replayed, others }
