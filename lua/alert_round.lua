#!lua
-- Begins a round in which the caller judges alerts, unless another round lasts. args: every_ms, how long a round lasts: if the caller dies, the next
-- round begins then. Answers { 'begun', now_ms, number } or { 'later', now_ms, in how many ms a round can begin }. O(1).
-- Harmless when repeated: the second answer says that a round has begun.
-- needs: arguments, alert_round

local number, until_ms = queue.last_round()
-- A round that lasts for longer than a round can began before the clock was set back.
if until_ms > now_ms and until_ms <= now_ms + args.every_ms then
  return { 'later', now_ms, until_ms - now_ms }
end
queue.keep_round(number + 1, args.every_ms)
return { 'begun', now_ms, number + 1 }
