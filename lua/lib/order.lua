-- The place of a job among the waiting ones: priority * 2^43 + sequence. The sequence starts
-- in the middle of its range, so that `front` can count down from there. Every score is a
-- whole number below 2^53, which a double holds exactly.
local PRIORITY_STEP = 2 ^ 43
local SEQUENCE_START = 2 ^ 42
local DEFAULT_PRIORITY = 500
local PRIORITY_MAX = 1023

-- The next `n` places at the back: returns the sequence before the first of them.
local function take_back_places(n)
  local last = tonumber(get_meta('sequence') or SEQUENCE_START)
  set_meta('sequence', whole(last + n))
  return last
end

-- The next `n` places at the front: returns the sequence behind the first of them.
local function take_front_places(n)
  local first = tonumber(get_meta('front') or (SEQUENCE_START + 1))
  set_meta('front', whole(first - n))
  return first
end

-- As text, ready to be sent.
local function place(priority, sequence)
  return whole(priority * PRIORITY_STEP + sequence)
end

-- The priority that a place was made with.
local function priority_at(score)
  return math.floor(score / PRIORITY_STEP)
end
