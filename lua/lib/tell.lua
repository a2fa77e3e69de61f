-- News of children (children.lua) for their parents.
-- needs: head, children, child_fields
-- rarely: successor, blocked, attempts, bury, freed, expiry, tell_far, gates_left, spawned, callbacks

local ENDS = { ended = 'ended', dead = 'dead', removed = 'removed', refused = 'refused' }

-- The parent is to die, for this reason. Appends it to `dying`.
local function fail(parent, why, dying)
  local job = queue.successor(parent)
  if not job then
    return
  end
  redis.call('ZREM', key.blocked, parent)
  queue.look_for_blocked()
  queue.record_attempt(parent, now_ms, '\130' .. cmsgpack.pack('kind') .. cmsgpack.pack('child-died')
    .. cmsgpack.pack('error') .. cmsgpack.pack(why), 0)
  queue.bury({ { id = parent, reason = 'child-died' } })
  local died = { id = parent, record = job.record, from = 'blocked', to = 'dead' }
  died.outcome = cmsgpack.pack({ dead = 'child-died' })
  dying[#dying + 1] = died
  queue.free_keys({ died })
  queue.forget_expiry({ parent })
end

-- Tells a parent of this queue. news: { parent, number (of the child), id, to (how it stands), on_death, at (when, as text), outcome, of_step, or nil
-- }. News of a job that it does not know, or knows to have ended, changes nothing. `told`: parents of which a step goes on (spawned.lua).
local function hear(news, dying, told)
  local parent, field = news.parent, queue.child_field(news.parent, news.number)
  local counts, known = unpack(redis.call('HMGET', key.attempts, parent .. '#children', field))
  local total, open, left = queue.counts_in(counts)
  local standing, who, id = string.match(known or '', '^(%l+) (%S+ (%S+) %S+) ')
  if not total or id ~= news.id or (standing ~= 'open' and standing ~= 'dead') then
    return
  end
  local is_dead, goes_on = news.to == 'dead', news.on_death == 'go_on'
  local text = news.to .. ' ' .. who .. ' ' .. news.at .. ' ' .. news.outcome
  -- It is not open any more if its parent went on without it when it died.
  local was_open = standing == 'open' or not goes_on
  local has_ended, fails = was_open and not (is_dead and not goes_on), is_dead and news.on_death == 'fail'
  if news.of_step then
    redis.call('HSET', key.attempts, field, text)
    queue.tell_step(parent, news.of_step, news.number, has_ended, fails, told)
    return
  end
  local is_refused, is_first = news.to == 'refused', left and standing == 'open'
  left = is_first and queue.call_back(parent, left, is_dead or is_refused) or left
  open = has_ended and open - 1 or open
  if has_ended or is_first then
    redis.call('HSET', key.attempts, field, text, parent .. '#children', queue.counts_text(total, open, left))
  else
    redis.call('HSET', key.attempts, field, text)
  end
  local why = is_refused and not goes_on and ' could not be added: ' .. news.outcome or fails and ' died'
  if why then
    fail(parent, 'its child ' .. news.id .. why, dying)
  elseif has_ended and open == 0 then
    queue.let_parent_go(parent)
  end
end

-- `job` as for tell_parents; `value` is what it says of its parent.
local function tell(job, value, dying, told)
  local of_queue, parent, number, route = queue.parent_in(value)
  if not parent then
    return
  end
  local news = {
    parent = parent, number = number, id = job.id, to = ENDS[job.to], at = now_text, outcome = job.outcome or '',
    on_death = job.on_death or job.record and queue.field_of(job.record, 'on_death'), of_step = job.record and queue.field_of(job.record, 'of_step'),
  }
  if of_queue == '' then
    hear(news, dying, told)
  elseif job.from ~= 'completed' then
    -- Of one that had ended its parent knows.
    queue.tell_far(of_queue, route, news)
  end
end

-- Jobs leave what they were: a list as for `leave` (leave.lua); `outcome` is how a job ended that has ended. Parents that die with them are
-- appended to the list. Returns the parents that `wake_parents` (spawned.lua) is to wake, once all else is done.
function queue.tell_parents(jobs)
  local at, told = 1, {}
  while at <= #jobs do
    local job = jobs[at]
    local value = ENDS[job.to] and job.record and string.find(job.record, ' parent=', 1, true)
      and queue.field_of(job.record, 'parent')
    if value then
      tell(job, value, jobs, told)
    end
    at = at + 1
  end
  return told
end

-- Parents that died leave what they were, and so do theirs.
local function leave(dying)
  if #dying > 0 then
    local told = queue.tell_parents(dying)
    queue.leave_gates(dying)
    queue.wake_parents(told)
  end
end

-- News that came from other queues, a list of what `hear` takes.
function queue.hear(all)
  local dying = {}
  for _, news in ipairs(all) do
    hear(news, dying, {})
  end
  leave(dying)
end

-- Children could not be added: a list of { id, to = 'refused', parent, on_death (both as they are sent), outcome: why }.
function queue.tell_refused(children)
  local dying = {}
  for _, child in ipairs(children) do
    tell(child, child.parent, dying, {})
  end
  leave(dying)
end
