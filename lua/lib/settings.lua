-- What is set for this queue. meta.settings is `1 <revision> <name>=<value> ..`, with the settings that an operator or code
-- has set; all others have their defaults. A format that this version does not know counts as nothing: then
-- everything has its default, and trim tells the workers.
-- needs: meta
local DEFAULT_SETTINGS = {
  keep_completed_ms = 86400000, keep_at_most = 1000, max_stalls = 4, keep_events = 100000,
  group_concurrency = 0,
}

function queue.setting(name)
  local set = meta.settings and string.match(meta.settings, '^1 %d+.- ' .. name .. '=(%d+)')
  return set and tonumber(set) or DEFAULT_SETTINGS[name]
end
