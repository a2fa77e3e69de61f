#!lua flags=allow-oom
-- Tells a breaker how a call ended. args: settings (lib/breaker.lua), succeeded: other calls, which ended well; ended: 'well', 'failed' or 'dropped'; probe: its number, 0 if it was
-- none; why: the error.
-- Answers { 'counted' | 'open' (the failure is not counted, because it was open or this was a probe), now_ms, ms after which to ask again, the state to which this call has changed it or '', is_new }.
-- O(probes). Repeated, a failure counts twice, and a probe once.
-- needs: arguments, breaker, breaker_window

local it = queue.breaker(true)
queue.count_in_breaker(it, args.succeeded, 0)
local answer, wait_ms, probe = 'counted', 0, nil
for i, one in ipairs(it.probes) do
  if one.number == args.probe and args.probe > 0 then
    probe = table.remove(it.probes, i)
    break
  end
end
if probe and args.ended == 'dropped' then
  -- Or else the dependency would be called again and again by probes that say nothing.
  it.probes[#it.probes + 1] = { number = 0, until_ms = math.min(probe.until_ms, now_ms + args.open_ms) }
elseif probe and args.ended == 'well' then
  it.succeeded = it.succeeded + 1
  if it.succeeded >= args.probes then
    queue.change_breaker(it, args.rise_ms > 0 and 'rising' or 'closed')
  end
elseif probe and args.ended == 'failed' then
  queue.change_breaker(it, 'open')
  it.why = args.why
end
if args.ended == 'failed' then
  if it.state == 'closed' or it.state == 'rising' then
    local calls, failures = queue.count_in_breaker(it, 1, 1)
    local trips = failures >= args.failures and calls >= args.calls and failures * 1000 >= args.permille * calls
    if trips and it.forced == '-' then
      queue.change_breaker(it, 'open')
      it.why, it.opened = args.why, it.opened + 1
    end
  else
    answer, wait_ms = 'open', queue.breaker_turn(it)
  end
end
queue.save_breaker(it)
return { answer, now_ms, wait_ms, it.changed, it.is_first and 1 or 0 }
