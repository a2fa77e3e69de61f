#!lua flags=allow-oom
-- A worker says what it is, and what it has counted; the first stands for `ttl_ms`, or until the worker says that it stops. args: worker (its
-- id), age_ms (for how long it has run), stops, ttl_ms, most (so many workers are remembered), number (of the report). What the worker says of
-- itself is ARGV[2], what it has counted ARGV[3] (lib/tally.lua); a report of the same number as the last one counts nothing again.
-- Answers { 'reported' | 'full', now_ms }. O(log N), and O(names) for what was counted.
-- needs: arguments, tally, whole

local DROPPED_AT_MOST = 256

local said = redis.call('HGET', key.about, args.worker)
local last = said and string.match(said, '^%d+ %d+ (%d+) ')
queue.tally(tonumber(last) == args.number and '' or ARGV[3])

local over = redis.call('ZRANGEBYSCORE', key.workers, '-inf', now_text, 'LIMIT', 0, DROPPED_AT_MOST)
if args.stops then
  over[#over + 1] = args.worker
end
if #over > 0 then
  redis.call('ZREM', key.workers, unpack(over))
  redis.call('HDEL', key.about, unpack(over))
end

local status = 'reported'
if not args.stops then
  if redis.call('ZSCORE', key.workers, args.worker) or redis.call('ZCARD', key.workers) < args.most then
    local since_ms = math.max(0, now_ms - args.age_ms)
    local words = { queue.whole(since_ms), now_text, queue.whole(args.number), ARGV[2] }
    redis.call('ZADD', key.workers, queue.whole(now_ms + args.ttl_ms), args.worker)
    redis.call('HSET', key.about, args.worker, table.concat(words, ' '))
    -- When the last worker is dead, nobody drops what it said.
    redis.call('PEXPIRE', key.workers, queue.whole(args.ttl_ms))
    redis.call('PEXPIRE', key.about, queue.whole(args.ttl_ms))
  else
    status = 'full'
  end
end
return { status, now_ms }
