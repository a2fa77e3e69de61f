-- Whether settings are in a format that is known here. What does not begin like one was written by
-- somebody else, and counts as nothing.
function queue.is_readable(text)
  local format = string.match(text or '', '^(%d+) ')
  return not format or format == '1'
end
