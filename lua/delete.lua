#!lua flags=allow-oom
-- Deletes the queue with all that it holds. args: all (also if it holds
-- jobs that have not ended, dead letters or schedules), lanes_ms.
-- Answers { 'deleted' | 'not_empty', now_ms, waiting, blocked, delayed, active, completed, dead, schedules, lost, unsent }: how
-- many of each there are, or were; `lost` are records of jobs that are in no list, `unsent` messages to other queues. Constant time,
-- but for O(log N) to count: Redis frees the memory in the background.
-- Harmless when repeated.
-- needs: arguments, lines, active

local FIELDS_AT_MOST = 4
local is_read, sent = pcall(redis.call, 'HGET', key.meta, 'sent')

-- If jobs cannot be counted, because another program put another type under a key, the queue is not
-- deleted, unless all is to go.
local function counted(ask, ...)
  local read, n = pcall(ask, ...)
  if read then
    return n
  end
  if not args.all then
    error(n)
  end
  return 0
end

local function size(command, ...)
  local sum = 0
  for _, part in ipairs({ ... }) do
    sum = sum + counted(redis.call, command, part)
  end
  return sum
end

local waiting = size('ZCARD', key.waiting, key.suspects, key.unhandled)
local blocked = size('ZCARD', key.blocked)
local delayed, active = counted(queue.delayed_count), counted(queue.active_count)
local completed, dead = size('ZCARD', key.completed, key.kept), size('ZCARD', key.dead)
-- A schedule whose tick is lost shows in its fields.
local fields = size('HLEN', key.schedules)
local schedules = math.max(size('ZCARD', key.ticks), math.ceil(fields / FIELDS_AT_MOST))
local records = size('HLEN', key.jobs)
local lost = math.max(0, records - waiting - blocked - delayed - active - completed - dead)

local unsent = size('ZCARD', key.outbox)

local is_wanted = waiting + blocked + delayed + active + dead + schedules + lost + unsent > 0
local status = 'not_empty'
if args.all or not is_wanted then
  status = 'deleted'
  local gone = {}
  for name, part in pairs(key) do
    if name ~= 'calls' and name ~= 'sources' then
      gone[#gone + 1] = part
    end
  end
  redis.call('UNLINK', unpack(gone))
  -- A call that has run and whose answer was lost is repeated. It must not run again because the queue
  -- was deleted meanwhile; so the numbers of the last calls stay for as long as that may happen. For the same reason it stays known which
  -- messages of other queues were taken: a relay may be late. And what this queue sends when it is in use again must not have positions that
  -- other queues have taken, also if the clock was set back (lib/outbox.lua).
  if is_read and sent then
    pcall(redis.call, 'HSET', key.sources, '', sent)
  end
  redis.call('PEXPIRE', key.calls, args.lanes_ms)
  redis.call('PEXPIRE', key.sources, args.lanes_ms)
end
return { status, now_ms, waiting, blocked, delayed, active, completed, dead, schedules, lost, unsent }
