-- meta.tick: the next tick of all schedules, `<ms>`, and the worker that sees to it, if one does,
-- `<ms> <worker>`. It is read with the rest of meta, so a queue without schedules pays nothing.
-- needs: arguments, meta
-- rarely: arm

-- The moment of the tick that the caller has to see to, or nil: there is none, or another worker
-- sees to it. A caller that stops (not args.hold) hands it on.
function queue.hold_tick()
  -- A worker that is this late with a tick has died, or has lost Redis.
  local PATIENCE_MS = 1000
  local ms, holder = string.match(meta.tick or '', '^(%d+) ?(.*)$')
  local tick_ms = tonumber(ms)
  if not tick_ms then
    return nil
  end
  if not args.hold then
    if holder == args.worker then
      queue.set_meta('tick', ms)
      queue.arm(tick_ms)
    end
    return nil
  end
  if holder ~= args.worker then
    if holder ~= '' and now_ms < tick_ms + PATIENCE_MS then
      return nil
    end
    queue.set_meta('tick', ms .. ' ' .. args.worker)
  end
  return tick_ms
end
