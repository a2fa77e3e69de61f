-- Children: jobs for which another one, their parent, waits. A child names it in its head (head.lua): `parent` is
-- `<queue>/<id>/<number>`, the queue empty if it is this one, the number its position among the children, from 0; and `on_death`
-- says what its death means: `fail`, the parent dies, `go_on`, the parent goes on without it; without it the parent waits until
-- the child is replayed.
--
-- What a parent knows of its children lies in `attempts`, and goes with whatever else is recorded of it (attempts.lua):
-- `<id>#children` holds how many there are, and how many of these are open; `<id>#child<number>` is `<standing> <queue, or ~> <id>
-- <name> <ended, ms> <how it ended>`. The standing is `open`, `ended` (completed, cancelled, expired), `dead` or `removed`. As long as
-- a parent has open children it is `blocked`, and not `blocked_by` a gate, like a successor (successor.lua). A child that is dead is
-- open still, unless its parent goes on without it.
-- needs: head, whole, child_fields
-- rarely: successor, blocked, attempts, bury, freed, expiry, optional

local ENDS = { ended = 'ended', dead = 'dead', removed = 'removed' }

-- What a child says of its parent: its queue, its id, the number of the child, as text.
function queue.parent_in(value)
  local of_queue, word, number = string.match(value, '^([^/]*)/([^/]+)/(%d+)$')
  local id = word and string.gsub(word, '%%(%x%x)', function(digits)
    return string.char(tonumber(digits, 16))
  end)
  return of_queue, id, number
end

-- How many children a job has, and how many of them are open; nil if it has none.
function queue.children_of(id)
  local total, open = string.match(redis.call('HGET', key.attempts, id .. '#children') or '', '^(%d+) (%d+)$')
  return tonumber(total), tonumber(open)
end

-- Whether a job that is blocked waits for its children.
function queue.waits_for_children(id)
  local _, open = nil, nil
  if queue.has(key.attempts) then
    _, open = queue.children_of(id)
  end
  return open ~= nil and open > 0
end

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
local function tell(job, value, dying)
  local of_queue, parent, number = queue.parent_in(value)
  if of_queue ~= '' then
    return
  end
  local field = queue.child_field(parent, number)
  local counts, known = unpack(redis.call('HMGET', key.attempts, parent .. '#children', field))
  local total, open = string.match(counts or '', '^(%d+) (%d+)$')
  local standing, who, id = string.match(known or '', '^(%l+) (%S+ (%S+) %S+) ')
  if not total or id ~= job.id or (standing ~= 'open' and standing ~= 'dead') then
    return
  end
  local on_death, is_dead = queue.field_of(job.record, 'on_death'), job.to == 'dead'
  local news = ENDS[job.to] .. ' ' .. who .. ' ' .. now_text .. ' ' .. (job.outcome or '')
  -- It is not open any more if its parent went on without it when it died.
  local was_open = standing == 'open' or on_death ~= 'go_on'
  if not was_open or is_dead and on_death ~= 'go_on' then
    redis.call('HSET', key.attempts, field, news)
    if is_dead and on_death == 'fail' then
      fail(parent, job.id, dying)
    end
    return
  end
  open = tonumber(open) - 1
  redis.call('HSET', key.attempts, field, news, parent .. '#children', total .. ' ' .. queue.whole(open))
  if open == 0 then
    queue.let_parent_go(parent)
  end
end

-- Jobs leave what they were: a list as for `leave` (leave.lua); `outcome` is how a job ended that has ended. Parents that die with
-- them are appended to the list.
function queue.tell_parents(jobs)
  local at = 1
  while at <= #jobs do
    local job = jobs[at]
    local value = ENDS[job.to] and job.record and string.find(job.record, ' parent=', 1, true)
      and queue.field_of(job.record, 'parent')
    if value then
      tell(job, value, jobs)
    end
    at = at + 1
  end
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
