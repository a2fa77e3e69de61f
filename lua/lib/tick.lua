-- meta.tick: the next tick of all schedules, `<ms>`, and the worker that sees to it, if one does,
-- `<ms> <worker>`. It is read with the rest of meta, so a queue without schedules pays nothing.

-- Whoever is this late with a tick has died, or has lost Redis.
local TICK_PATIENCE_MS = 1000

-- The moment of the tick that the caller has to see to, or nil: there is none, or another worker
-- sees to it. A caller that stops (not args.hold) hands it on.
local function hold_tick()
  local tick = get_meta('tick')
  if not tick then
    return nil
  end
  local ms, holder = string.match(tick, '^(%d+) ?(.*)$')
  local tick_ms = tonumber(ms)
  if not args.hold then
    if holder == args.worker then
      set_meta('tick', ms)
      arm(tick_ms)
    end
    return nil
  end
  if holder ~= args.worker then
    if holder ~= '' and now_ms < tick_ms + TICK_PATIENCE_MS then
      return nil
    end
    set_meta('tick', ms .. ' ' .. args.worker)
  end
  return tick_ms
end
