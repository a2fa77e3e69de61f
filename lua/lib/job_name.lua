-- The name of a job. It stands in the body of its record (src/job/record.rs), behind the head (head.lua): a MessagePack map whose
-- first key is `type`, or `name` in records of version 1.

-- nil if the record does not begin like that.
function queue.name_in(record)
  local MAP_16, STRING_0, STRING_31, STRING_8, STRING_16 = 222, 160, 191, 217, 218
  local VERSION_AND_STAMP, HEAD_16, KEY = 10, 3, 5
  local map = string.find(record, '[\128-\255]', VERSION_AND_STAMP + 1)
  if not map then
    return nil
  end
  local word_at = map + (string.byte(record, map) == MAP_16 and HEAD_16 or 1)
  local word = string.sub(record, word_at, word_at + KEY - 1)
  if word ~= '\164type' and word ~= '\164name' then
    return nil
  end
  local kind, high, low = string.byte(record, word_at + KEY, word_at + KEY + 2)
  local from, length
  if kind and kind >= STRING_0 and kind <= STRING_31 then
    from, length = word_at + KEY + 1, kind - STRING_0
  elseif kind == STRING_8 and high then
    from, length = word_at + KEY + 2, high
  elseif kind == STRING_16 and low then
    from, length = word_at + KEY + 3, 256 * high + low
  end
  local name = from and string.sub(record, from, from + length - 1)
  return name and #name == length and name or nil
end
