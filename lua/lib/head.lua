-- The head of a job's record, which scripts read (record.lua, places.lua): behind the place stand fields, `name=value` and
-- a space each, and behind them MessagePack, whose first byte is above all of ASCII. They hold what scripts have to know of
-- a job beyond its place. A job that needs none has none, and costs nothing more for it.

-- Fields by name, of each record and each text that this call has taken apart. Most jobs of a call have the same fields.
local of_records, of_texts = {}, {}

local function taken_apart(text)
  local fields = of_texts[text]
  if not fields then
    fields = {}
    for word in string.gmatch(text, '(%S+) ') do
      local name, value = string.match(word, '^([^=]+)=(.*)$')
      if name and not fields[name] then
        fields[name] = value
      end
    end
    of_texts[text] = fields
  end
  return fields
end

-- The value of a field, as text; nil if the job does not have it.
function queue.field_of(record, name)
  local fields = of_records[record]
  if not fields then
    fields = taken_apart(string.match(record, '^..........%-?%d+( [!-~]+=[ -~]*)') or '')
    of_records[record] = fields
  end
  return fields[name]
end

-- Whether a stored record has a trait: a field that decides when the job may run. The script that stores a record says
-- so by its version (record.lua).
function queue.has_traits(record)
  local VERSION_WITH_TRAITS, EXTERNAL_PAYLOAD = 3, 128
  return (string.byte(record) or 0) % EXTERNAL_PAYLOAD == VERSION_WITH_TRAITS
end

-- The value of a field in what a client sends of a record, or a schedule keeps: fields and a map.
function queue.sent_field(sent, name)
  local fields = of_records[sent]
  if not fields then
    fields = taken_apart(string.match(sent, '^[ -~]*'))
    of_records[sent] = fields
  end
  return fields[name]
end

-- Whether it has a trait.
function queue.has_sent_traits(sent)
  for _, name in ipairs({ 'group', 'order', 'unique', 'expires_in', 'expires_at', 'parent', 'children' }) do
    if queue.sent_field(sent, name) then
      return true
    end
  end
  return false
end
