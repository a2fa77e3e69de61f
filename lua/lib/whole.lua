-- A whole number as text. Faster than what Redis makes of a number, which is a double to it;
-- exact below 2^53.
function queue.whole(number)
  return string.format('%d', number)
end
