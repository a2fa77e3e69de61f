-- A claim: fence, the place the job was taken from, since when, and the worker's id behind.
-- The tail after these is free for later fields.
local CLAIM = '>I8dI8'

-- Small hashes and sorted sets are kept as lists with linear search. These two hover around
-- the size at which that changes; one member longer than the list's element limit (64 bytes)
-- keeps them hash tables. It is written with every batch, so that it survives a FLUSHALL,
-- and its deadline is never reached.
local SENTINEL = '~sentinel: keeps this key a hash table, see docs/redis-layout.md ~~~~~~'

local function pack_claim(fence, score, worker)
  return struct.pack(CLAIM, fence, score, now_ms) .. worker
end

-- Returns fence, score, since_ms.
local function unpack_claim(claim)
  return struct.unpack(CLAIM, claim)
end

local function read_claims(ids)
  return redis.call('HMGET', key_claims, unpack(ids))
end

-- Leases `ids` under consecutive fences and returns the first of these. A fence grows even
-- when a replica that lost recent writes is promoted, because time takes part in it.
local function lease(ids, scores, worker, lease_ms)
  local n = #ids
  local first = math.max(tonumber(get_meta('fence') or 0) + 1, now_us)
  set_meta('fence', whole(first + n - 1))
  local deadline = whole(now_ms + lease_ms)
  local deadlines, claims = { '+inf', SENTINEL }, { SENTINEL, '' }
  for i = 1, n do
    deadlines[2 * i + 1] = deadline
    deadlines[2 * i + 2] = ids[i]
    claims[2 * i + 1] = ids[i]
    claims[2 * i + 2] = pack_claim(first + i - 1, scores[i], worker)
  end
  redis.call('ZADD', key_active, unpack(deadlines))
  redis.call('HSET', key_claims, unpack(claims))
  return first
end

-- Sets the deadlines of leases that were checked to hold.
local function renew(ids, lease_ms)
  if #ids > 0 then
    local deadlines, deadline = {}, whole(now_ms + lease_ms)
    for i = 1, #ids do
      deadlines[2 * i - 1] = deadline
      deadlines[2 * i] = ids[i]
    end
    redis.call('ZADD', key_active, unpack(deadlines))
  end
end

local function unlease(ids)
  if #ids > 0 then
    redis.call('ZREM', key_active, unpack(ids))
    redis.call('HDEL', key_claims, unpack(ids))
  end
end

-- How many jobs are active, the sentinel not among them.
local function active_count()
  return redis.call('ZCOUNT', key_active, '-inf', '(+inf')
end
