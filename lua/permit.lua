#!lua flags=allow-oom
-- Asks a breaker whether a call may go. args: settings (lib/breaker.lua), succeeded: calls that ended well since the last time; probe: the number
-- that the call has if it goes as a probe.
-- Answers { 'closed' (also the calls of the next second) | 'passes' | 'probe' | 'open', now_ms, ms after which to ask again, the state to which this call
-- has changed it or '', is_new, why it is open }. O(probes). A probe that was granted twice is forgotten after its time.
-- needs: arguments, breaker, breaker_window

local it = queue.breaker(true)
queue.count_in_breaker(it, args.succeeded, 0)
if it.state == 'open' and now_ms >= it.until_ms then
  if it.forced == '-' then
    queue.change_breaker(it, 'half-open')
  else
    it.until_ms = now_ms + args.open_ms
  end
elseif it.state == 'rising' and now_ms >= it.since + args.rise_ms then
  queue.change_breaker(it, 'closed')
end
local answer, wait_ms = 'open', 0
if it.state == 'closed' then
  answer = 'closed'
elseif it.state == 'rising' and it.passed < queue.risen(now_ms - it.since) then
  answer, it.passed = 'passes', it.passed + 1
elseif it.state == 'half-open' and #it.probes + it.succeeded < args.probes then
  answer, it.probes[#it.probes + 1] = 'probe', { number = args.probe, until_ms = now_ms + args.probe_ms }
else
  wait_ms = queue.breaker_turn(it)
end
queue.save_breaker(it)
return { answer, now_ms, wait_ms, it.changed, it.is_first and 1 or 0, it.why }
