-- News of children (children.lua) for their parents.
-- needs: head, children, child_fields
-- rarely: successor, blocked, attempts, bury, freed, expiry, spawned, callbacks

local ENDS = { ended = 'ended', dead = 'dead', removed = 'removed' }

-- One of its children died, and that is to be the death of the parent. Appends it to `dying`.
local function fail(parent, child, dying)
  local job = queue.successor(parent)
  if not job then
    return
  end
  redis.call('ZREM', key.blocked, parent)
  queue.look_for_blocked()
  queue.record_attempt(parent, now_ms, '\130' .. cmsgpack.pack('kind') .. cmsgpack.pack('child-died')
    .. cmsgpack.pack('error') .. cmsgpack.pack('its child ' .. child .. ' died'), 0)
  queue.bury({ { id = parent, reason = 'child-died' } })
  local died = { id = parent, record = job.record, from = 'blocked', to = 'dead' }
  died.outcome = cmsgpack.pack({ dead = 'child-died' })
  dying[#dying + 1] = died
  queue.free_keys({ died })
  queue.forget_expiry({ parent })
end

-- Tells the parent of a job. News of a job that the parent does not know, or knows to have ended, changes nothing.
-- `told`: of those that may go on because a step of theirs does (spawned.lua).
local function tell(job, value, dying, told)
  local of_queue, parent, number = queue.parent_in(value)
  if of_queue ~= '' then
    return
  end
  local field = queue.child_field(parent, number)
  local counts, known = unpack(redis.call('HMGET', key.attempts, parent .. '#children', field))
  local total, open, left = queue.counts_in(counts)
  local standing, who, id = string.match(known or '', '^(%l+) (%S+ (%S+) %S+) ')
  if not total or id ~= job.id or (standing ~= 'open' and standing ~= 'dead') then
    return
  end
  local on_death, is_dead = queue.field_of(job.record, 'on_death'), job.to == 'dead'
  local news = ENDS[job.to] .. ' ' .. who .. ' ' .. now_text .. ' ' .. (job.outcome or '')
  -- It is not open any more if its parent went on without it when it died.
  local was_open = standing == 'open' or on_death ~= 'go_on'
  local has_ended, fails = was_open and not (is_dead and on_death ~= 'go_on'), is_dead and on_death == 'fail'
  local of_step = queue.field_of(job.record, 'of_step')
  if of_step then
    redis.call('HSET', key.attempts, field, news)
    queue.tell_step(parent, of_step, number, has_ended, fails, told)
    return
  end
  local is_news = left and standing == 'open'
  left = is_news and queue.call_back(parent, left, is_dead) or left
  if has_ended or is_news then
    open = has_ended and open - 1 or open
    redis.call('HSET', key.attempts, field, news, parent .. '#children', queue.counts_text(total, open, left))
  else
    redis.call('HSET', key.attempts, field, news)
  end
  if has_ended and open == 0 then
    queue.let_parent_go(parent)
  elseif fails then
    fail(parent, job.id, dying)
  end
end

-- Jobs leave what they were: a list as for `leave` (leave.lua); `outcome` is how a job ended that has ended. Parents that die with
-- them are appended to the list. Returns the parents that `wake_parents` (spawned.lua) is to wake, once all else is done.
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

-- Whether a dead job holds up its parent, which waits for it.
function queue.holds_its_parent(id, record)
  local of_queue, parent, number = queue.parent_in(queue.field_of(record, 'parent') or '')
  if of_queue ~= '' or queue.field_of(record, 'on_death') == 'go_on' or not redis.call('ZSCORE', key.blocked, parent) then
    return false
  end
  local known = redis.call('HGET', key.attempts, queue.child_field(parent, number)) or ''
  return string.match(known, '^dead %S+ (%S+) ') == id
end
