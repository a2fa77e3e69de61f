-- The head of a job's record, which scripts read (record.lua, places.lua): behind the place stand fields, `name=value` and
-- a space each, and behind them MessagePack, whose first byte is above all of ASCII. They hold what scripts have to know of
-- a job beyond its place. A job that needs none has none, and costs nothing more for it.

-- The value of a field, as text; nil if the job does not have it.
function queue.field_of(record, name)
  local fields = string.match(record, '^..........%-?%d+( [!-~]+=[ -~]*)')
  return fields and string.match(fields, ' ' .. name .. '=([!-~]*) ')
end
