-- Jobs that are not to start any more after a moment. `expires` holds them as long as no worker has taken them, by that
-- moment; meta.expiring is the first of these moments, so that a call that reads no other key knows when one is over.
--
-- A job says in its head (head.lua) when that is: `expires_at`, a moment in ms, or `expires_in`, for how many ms from the
-- moment at which it was enqueued.
-- needs: meta, whole, head
-- rarely: unset, arm, lists, begun

-- A moment that `queue.number` cannot read never comes.
local NEVER = 2 ^ 53

local function expiry_of(record)
  local at_ms
  local after_ms = tonumber(queue.field_of(record, 'expires_in') or '')
  if after_ms then
    -- Behind the version: MessagePack, when the job was enqueued.
    at_ms = cmsgpack.unpack(string.sub(record, 2, 10)) + after_ms
  else
    at_ms = tonumber(queue.field_of(record, 'expires_at') or '')
  end
  return at_ms and at_ms < NEVER and at_ms or nil
end

-- Brings meta.expiring up to date. Another program may have written or deleted it, or a member of `expires`.
function queue.look_for_expiring()
  local _, score = unpack(redis.call('ZRANGE', key.expires, '0', '0', 'WITHSCORES'))
  local first_ms = tonumber(score)
  first_ms = first_ms and first_ms < NEVER and queue.whole(math.max(0, math.ceil(first_ms))) or nil
  if not first_ms and meta.expiring then
    queue.unset_meta('expiring')
  elseif first_ms and meta.expiring ~= first_ms then
    queue.set_meta('expiring', first_ms)
  end
end

-- Jobs were stored, or are back in line without having started: a list of ids, each followed by the job's record.
function queue.expect_expiry(stored)
  local members = {}
  for i = 1, #stored, 2 do
    local at_ms = queue.has_traits(stored[i + 1]) and expiry_of(stored[i + 1])
    if at_ms then
      queue.append(members, queue.whole(at_ms), stored[i])
    end
  end
  if #members > 0 then
    local before = meta.expiring
    redis.call('ZADD', key.expires, unpack(members))
    queue.look_for_expiring()
    if meta.expiring ~= before then
      queue.arm(queue.number(meta.expiring))
    end
  end
end

-- A job waits, and may have begun before.
function queue.expect_first_start(id, record)
  if queue.has_traits(record) and expiry_of(record) and not queue.has_begun(id) then
    queue.expect_expiry({ id, record })
  end
end

-- Attempts have ended: a list as for `leave` (leave.lua). A job that bounced before it ever began has not started.
function queue.expect_again(jobs)
  for _, job in ipairs(jobs) do
    if job.bounced and job.record then
      queue.expect_first_start(job.id, job.record)
    end
  end
end

-- Jobs have started, or are over.
function queue.forget_expiry(ids)
  if meta.expiring and #ids > 0 then
    redis.call('ZREM', key.expires, unpack(ids))
    queue.look_for_expiring()
  end
end
