#!lua flags=no-writes
-- Alerts as they are stored. args: cursor ('0' at first), limit: a page of about so many; or name: that one alone.
-- Answers { 'alerts', now_ms, cursor, flat }: where to go on, and of each alert its name and how it stands. O(limit). Reads.
-- needs: arguments

if args.name then
  local stands = redis.call('HGET', key.alerts, args.name)
  return { 'alerts', now_ms, '0', stands and { args.name, stands } or {} }
end
local cursor, found = unpack(redis.call('HSCAN', key.alerts, args.cursor, 'COUNT', args.limit))
local flat = {}
for i = 1, #found, 2 do
  -- The others are no alerts (lib/alert_round.lua).
  if string.find(found[i], ' ', 1, true) then
    flat[#flat + 1], flat[#flat + 2] = found[i], found[i + 1]
  end
end
return { 'alerts', now_ms, cursor, flat }
