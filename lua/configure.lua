-- Changes what is set for the queue (lib/settings.lua). args: by, said (a map of numbers by name).
-- By an 'operator', all that is said is set. By 'code', which declares its settings, only what it
-- did not declare the last time: so the change of an operator stays until the code changes. What code
-- declared and does not any more has its default again, unless somebody else has changed it. By 'code' that
-- says it 'again', nothing is done, unless it was lost what code declared last (`meta.declared`).
-- Answers { 'configured', now_ms, before, after, declared }, texts, '' for nothing; or, where a format stands
-- that is not known here, { 'unreadable', now_ms }, and nothing was done. O(1). Harmless when repeated.

local function values_in(text)
  local values = {}
  for name, number in string.gmatch(text, ' ([%l_]+)=(%d+)') do
    values[name] = number
  end
  return values
end

local function as_text(values)
  local words = {}
  for name, number in pairs(values) do
    words[#words + 1] = name .. '=' .. number
  end
  table.sort(words)
  return table.concat(words, ' ')
end

local before = meta.settings or ''
local declared = redis.call('HGET', key.meta, 'declared') or ''
if not (queue.is_readable(before) and queue.is_readable(declared)) then
  return { 'unreadable', now_ms }
end

local said, values = {}, values_in(before)
for name, number in pairs(args.said) do
  said[name] = queue.whole(number)
end

if args.by == 'operator' then
  for name, number in pairs(said) do
    values[name] = number
  end
elseif args.by == 'code' or declared == '' then
  local last = values_in(declared)
  for name, number in pairs(said) do
    if last[name] ~= number then
      values[name] = number
    end
  end
  for name, number in pairs(last) do
    if not DEFAULT_SETTINGS[name] then
      -- A newer version declared it, and knows what it is.
      said[name] = number
    elseif not said[name] and values[name] == number then
      values[name] = nil
    end
  end
  local now_declared = '1 ' .. as_text(said)
  if now_declared ~= declared then
    declared = now_declared
    queue.set_meta('declared', declared)
  end
end

local after = before
if as_text(values) ~= as_text(values_in(before)) then
  local revision = queue.number(string.match(before, '^1 (%d+)')) + 1
  after = '1 ' .. queue.whole(revision) .. ' ' .. as_text(values)
  queue.set_meta('settings', after)
  if queue.setting('keep_events') == 0 then
    redis.call('UNLINK', key.events)
  end
end
queue.save_meta()
return { 'configured', now_ms, before, after, declared }
