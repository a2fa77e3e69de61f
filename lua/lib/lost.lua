-- What becomes of jobs that are in no list any more. Their records, and what is stored beside them, show where they belong.
-- needs: arguments, meta
-- rarely: held, enter, places, order, unplace, finish, forget, arm, count, emit, drained, leave, expiry

-- Sorts the jobs out: those that a worker holds, those that are dead, completed, and those that have not
-- ended.
local function sort_out(ids)
  local claims = redis.call('HMGET', key.claims, unpack(ids))
  local results = redis.call('HMGET', key.results, unpack(ids))
  local held, dead, completed, open = {}, {}, {}, {}
  for i = 1, #ids do
    local into = open
    if claims[i] then
      into = held
    elseif results[i] then
      -- A moment, and a map with one entry: { dead = reason }, or what else became of the job.
      into = string.find(results[i], '^.........\129\164dead') and dead or completed
    end
    into[#into + 1] = ids[i]
  end
  return held, dead, completed, open
end

-- The longest lease in use, as far as workers have said it (judge.lua): no lease may be longer.
local function longest_lease()
  local known = redis.call('HGET', key.meta, 'recovery') or ''
  return tonumber(string.match(known, '^%d+ %d+ (%d+)')) or args.lease_ms
end

local function add(part, score, ids)
  local members = {}
  for i = 1, #ids do
    members[2 * i - 1], members[2 * i] = score, ids[i]
  end
  if #ids > 0 then
    redis.call('ZADD', part, unpack(members))
  end
end

-- The record of a job that was enqueued with a delay holds the first place of its priority, which is no job's. A job with a gate
-- is held back until its gate lets it in, unless it has the turn. Returns their records.
local function enter_where_they_were(ids)
  local places, records = queue.places_of(ids)
  local known, at, anew, options = {}, {}, {}, {}
  local gated, of_gated, gated_at = {}, {}, {}
  for i = 1, #ids do
    local priority = queue.priority_at(places[i])
    if queue.waits_for_turn(ids[i], records[i]) then
      local n = #gated + 1
      gated[n], of_gated[n], gated_at[n] = ids[i], records[i], places[i]
    elseif places[i] == queue.first_places({ { priority = priority } })[1] then
      anew[#anew + 1], options[ids[i]] = ids[i], { priority = priority }
    else
      known[#known + 1], at[#at + 1] = ids[i], places[i]
    end
  end
  queue.enter_line(known, at)
  queue.enter_anew(anew, options)
  queue.enter_by_gates(gated, of_gated, gated_at)
  queue.emit('waiting', known)
  queue.emit('waiting', anew)
  return records
end

-- Where each job goes. One that a worker holds gets a lease, which the worker renews or which runs out. A dead
-- one goes to `dead`, any other that has ended to `completed`. One that has not ended goes back to its place
-- in line; one that was delayed since it was enqueued has no place there, and goes to the back, because until
-- when it was to wait is not known. One with a gate is held back until its gate lets it in.
function queue.put_back(ids)
  local held, dead, completed, open = sort_out(ids)
  queue.renew(held, longest_lease())
  add(key.dead, now_text, dead)
  add(key.completed, now_text, completed)
  if #open > 0 then
    queue.forget_names(open)
    local records = enter_where_they_were(open)
    for i = 1, #open do
      queue.expect_first_start(open[i], records[i])
    end
    if not meta.paused then
      queue.arm(0)
    end
  end
end

-- Whether every job whose record is left has ended: then no other page holds a job to be removed.
local function is_all_ended()
  local ended = redis.call('ZCARD', key.completed) + redis.call('ZCARD', key.kept)
  return redis.call('HLEN', key.jobs) <= ended + redis.call('ZCARD', key.dead)
end

-- Returns those that were removed: not those that a worker may have, which get a lease.
function queue.remove_orphans(ids)
  local held, dead, completed, open = sort_out(ids)
  queue.renew(held, longest_lease())
  local removed = {}
  for _, list in ipairs({ dead, completed, open }) do
    for i = 1, #list do
      removed[#removed + 1] = list[i]
    end
  end
  if #removed > 0 then
    if #open > 0 then
      queue.forget_names(open)
    end
    local leaving = queue.forget_gates(removed)
    queue.announce(removed)
    queue.forget_ended(removed)
    if #leaving > 0 then
      queue.leave(leaving)
    end
    queue.forget_expiry(removed)
    queue.count('removed', #removed)
    queue.emit('removed', removed)
    if #open > 0 and is_all_ended() then
      queue.say_if_drained()
    end
  end
  return removed
end
