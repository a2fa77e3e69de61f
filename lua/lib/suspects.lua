-- Which suspects one caller may run together: jobs whose worker died while they ran, one of which
-- may be what killed it. They are taken in groups, so that harmless jobs are soon done; but only as
-- long as a crash of the group leaves each of them three more stalls before it is dead. A suspect that
-- has fewer left runs alone among the suspects of its process: then no other suspect can be the cause
-- of a crash.
-- needs: arguments, meta, settings, whole
-- rarely: paused_names, lists, unset

-- Whether a suspect with so many stalls runs alone. The answer of `advance` says so (deliver.lua).
function queue.must_be_alone(stalls)
  local SPARE_STALLS = 3
  return queue.number(stalls) + SPARE_STALLS > queue.setting('max_stalls')
end

-- The first `limit` suspects whose names are not paused, among the first ones.
local function first_not_paused(limit)
  local LOOKED_AT_MOST = 256
  local page = redis.call('ZRANGE', key.suspects, '0', queue.whole(LOOKED_AT_MOST - 1), 'WITHSCORES')
  local ids, found = {}, {}
  for i = 1, #page, 2 do
    ids[#ids + 1] = page[i]
  end
  local records = redis.call('HMGET', key.jobs, unpack(ids))
  for i = 1, #ids do
    if #found < 2 * limit and not (records[i] and queue.is_paused_job(records[i])) then
      queue.append(found, page[2 * i - 1], page[2 * i])
    end
  end
  return found
end

-- The next of them, at most `limit`: id, place, id, place .. args.alone: no suspect runs in the
-- caller's process.
function queue.next_suspects(limit)
  local page = meta.paused_names and first_not_paused(limit)
    or redis.call('ZRANGE', key.suspects, '0', queue.whole(limit - 1), 'WITHSCORES')
  if #page == 0 then
    return page
  end
  local ids = {}
  for i = 1, #page, 2 do
    ids[#ids + 1] = page[i]
  end
  local stalls = redis.call('HMGET', key.stalls, unpack(ids))
  for i = 1, #ids do
    if queue.must_be_alone(stalls[i]) then
      -- This suspect is taken alone, or not yet.
      local taken = (i == 1 and args.alone) and 1 or i - 1
      return { unpack(page, 1, 2 * taken) }
    end
  end
  return page
end

-- Suspects are left: whether the caller wakes another worker for them. It does if it took some; if it has no slots, because then it
-- may have been woken in place of another; or if they may start because of what it does: it ends a job of a queue with limits, or
-- comes because a limit or a hold is over. Not with every call: workers that are all busy with a suspect would wake each other
-- for ever.
function queue.offers_suspects(claimed)
  if claimed.suspects > 0 or meta.paused then
    return claimed.suspects > 0
  end
  local at_ms, holder = string.match(meta.timer or '', '^(%d+) (.*)$')
  if at_ms and tonumber(at_ms) <= now_ms and (holder == args.worker or holder == '-') then
    queue.unset_meta('timer')
    return true
  end
  return args.claim == 0 or meta.limited and args.settle > 0
end
