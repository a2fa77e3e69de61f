-- The head of a job's record, which scripts read (record.lua, places.lua): behind the place stand fields, `name=value` and
-- a space each, and behind them MessagePack, whose first byte is above all of ASCII. They hold what scripts have to know of
-- a job beyond its place. A job that needs none has none, and costs nothing more for it.

-- The value of a field, as text; nil if the job does not have it.
function queue.field_of(record, name)
  local fields = string.match(record, '^..........%-?%d+( [!-~]+=[ -~]*)')
  return fields and string.match(fields, ' ' .. name .. '=([!-~]*) ')
end

-- Whether a stored record has a trait: a field that decides when the job may run. The script that stores a record says
-- so by its version (record.lua).
function queue.has_traits(record)
  local VERSION_WITH_TRAITS, EXTERNAL_PAYLOAD = 3, 128
  return (string.byte(record) or 0) % EXTERNAL_PAYLOAD == VERSION_WITH_TRAITS
end

-- The value of a field in what a client sends of a record, or a schedule keeps: fields and a map.
function queue.sent_field(sent, name)
  return string.match(' ' .. string.match(sent, '^[ -~]*'), ' ' .. name .. '=([!-~]*) ')
end

-- Whether it has a trait.
function queue.has_sent_traits(sent)
  for _, name in ipairs({ 'group', 'order', 'unique', 'expires_in', 'expires_at' }) do
    if queue.sent_field(sent, name) then
      return true
    end
  end
  return false
end
