#!lua flags=allow-oom
-- Looks at a breaker, and forces it. args: settings (lib/breaker.lua; if calls were made, theirs hold), force: 'open', 'closed', 'automatic' or '' (nothing changes), why.
-- Answers { 'breaker', now_ms, state, forced, since, until, calls and failures of the window, probes under way, opened, why, is_new }. O(probes). Harmless when repeated.
-- needs: arguments, breaker, breaker_window

local it = queue.breaker(false)
local forced = it.forced
if args.force == 'automatic' then
  it.forced = '-'
  if forced == 'open' then
    -- Probes may go at once.
    it.until_ms = now_ms
  end
elseif args.force ~= '' then
  it.forced = args.force
  if it.state ~= args.force then
    queue.change_breaker(it, args.force)
  end
end
local calls, failures = queue.count_in_breaker(it, 0, 0)
local under_way = 0
for _, probe in ipairs(it.probes) do
  under_way = under_way + (probe.number > 0 and 1 or 0)
end
if it.forced ~= forced then
  if it.forced ~= '-' then
    it.why = args.why
  end
  queue.save_breaker(it)
end
return {
  'breaker', now_ms, it.state, it.forced, it.since, it.until_ms, calls, failures, under_way, it.opened, it.why, it.is_first and 1 or 0,
}
