-- The place of a job among the waiting ones: priority * 2^43 + sequence. The sequence starts
-- in the middle of its range, so that `front` can count down from there. Every score is a
-- whole number below 2^53, which a double holds exactly.
local PRIORITY_STEP = 2 ^ 43
local SEQUENCE_START = 2 ^ 42
local DEFAULT_PRIORITY = 500
local PRIORITY_MAX = 1023

-- The next `n` places at the back: returns the sequence before the first of them.
local function take_back_places(n)
  local last = tonumber(redis.call('HGET', key_meta, 'sequence') or SEQUENCE_START)
  redis.call('HSET', key_meta, 'sequence', last + n)
  return last
end

-- The next `n` places at the front: returns the sequence behind the first of them.
local function take_front_places(n)
  local first = tonumber(redis.call('HGET', key_meta, 'front') or (SEQUENCE_START + 1))
  redis.call('HSET', key_meta, 'front', first - n)
  return first
end

local function place(priority, sequence)
  return priority * PRIORITY_STEP + sequence
end

-- The priority that a place was made with.
local function priority_at(score)
  return math.floor(score / PRIORITY_STEP)
end
