-- A place as 16 digits: as bytes these sort in the order of the places. They stand in members of sorted sets whose scores
-- are all 0 (unhandled.lua, gate.lua).
function queue.digits_of(place)
  -- Makes every place a positive number.
  local OFFSET = 500 * 2 ^ 43 + 2 ^ 42
  return string.format('%016d', OFFSET + (tonumber(place) or 0))
end
