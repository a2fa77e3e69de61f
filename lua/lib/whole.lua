-- A whole number as text. Faster than what Redis makes of a number, which is a double to it;
-- exact below 2^53.
function queue.whole(number)
  return string.format('%d', number)
end

-- The number in a text; 0 if there is none, or none that we wrote.
function queue.number(text)
  local number = tonumber(text)
  return number and number >= 0 and number < 2 ^ 53 and number or 0
end
