-- Whether settings are in a format that is known here. A text that does not begin with the number of a format was written by
-- another program, and counts as no settings.
function queue.is_readable(text)
  local format = string.match(text or '', '^(%d+) ')
  return not format or format == '1'
end
