-- Drops dead letters that are too old or too many, if that is set for the queue; nothing is set by itself. A dead job that holds
-- back the jobs of its order, or its parent, stays: they would go on as if it had been done. So does a stuck saga (saga.lua): what it
-- did stands. A call looks at one page. Dead letters that stay may fill it: `meta.dead_from` says how many stand before those at which the next
-- call looks, so that it comes to all of them, and begins again with the first.
-- needs: meta, settings, forget, whole, count
-- rarely: head, tell, holds_parent, saga, spawned, unset

local function holds_others_up(id, record)
  return record and queue.has_traits(record)
    and (queue.field_of(record, 'on_failure') == 'halt' or queue.holds_its_parent(id, record))
end

local ANY_NUMBER = 2 ^ 53 - 1

-- `from`: where this call looked; `next_from`: where the next one is to.
local function look_next(from, next_from)
  if next_from > 0 and next_from ~= from then
    queue.set_meta('dead_from', queue.whole(next_from))
  elseif next_from == 0 and from > 0 then
    queue.unset_meta('dead_from')
  end
end

-- Drops at most `budget`, those that died first. Returns how many.
function queue.cap_dead(budget)
  local keep_ms, at_most = queue.setting('keep_dead_ms'), queue.setting('keep_dead_at_most')
  if not keep_ms and (at_most or ANY_NUMBER) >= ANY_NUMBER then
    return 0
  end
  local excess = at_most and redis.call('ZCARD', key.dead) - at_most or 0
  local from = queue.number(redis.call('HGET', key.meta, 'dead_from'))
  local page = redis.call('ZRANGE', key.dead, queue.whole(from), queue.whole(from + budget - 1), 'WITHSCORES')
  local ids, too_many, too_old = {}, math.max(0, math.min(excess, budget)), 0
  for i = 1, #page, 2 do
    ids[#ids + 1] = page[i]
    if keep_ms and tonumber(page[i + 1]) <= now_ms - keep_ms then
      too_old = #ids
    end
  end
  if #ids == 0 or math.max(too_many, too_old) == 0 then
    look_next(from, 0)
    return 0
  end
  local records, gone, leaving = redis.call('HMGET', key.jobs, unpack(ids)), {}, {}
  local sagas = queue.sagas_among(ids)
  for i, id in ipairs(ids) do
    if (i <= too_old or #gone < too_many) and not sagas[id] and not holds_others_up(id, records[i]) then
      gone[#gone + 1] = id
      leaving[#leaving + 1] = { id = id, record = records[i], to = 'removed' }
    end
  end
  if #gone > 0 then
    redis.call('ZREM', key.dead, unpack(gone))
    queue.forget_ended(gone)
    queue.wake_parents(queue.tell_parents(leaving))
    queue.count('dead_dropped', #gone)
  end
  local may_be_more = #ids == budget and (too_old == #ids or excess > #gone)
  look_next(from, may_be_more and from + #ids - #gone or 0)
  return #gone
end
