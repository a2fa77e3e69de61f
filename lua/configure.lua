#!lua flags=allow-oom
-- Changes what is set for the queue (lib/settings.lua). args: by ('operator' | 'code' | 'again'), said (values by
-- name, text without a space). An 'operator' sets all that is said. 'code' (a worker starts) sets what differs from what code
-- declared last (meta.declared); so the change of an operator stays until the code says something else. 'again'
-- (a worker that runs checks that its settings are still there) sets only settings that are missing in meta.declared: they
-- were lost. Other settings stay as they are.
-- Answers { 'configured', now_ms, before, after, declared }, texts, '' for nothing; or, if the stored text is in a format
-- that is not known here, { 'unreadable', now_ms }, and nothing was done. O(1). Harmless when repeated.
-- needs: arguments, meta, whole, settings, readable
-- rarely: rate, arm

local function values_in(text)
  local values, own = {}, string.match(text, '^1 .*$') or ''
  for name, value in string.gmatch(own, ' ([%l_]+)=(%S+)') do
    values[name] = value
  end
  return values
end

local function as_text(values)
  local words = {}
  for name, value in pairs(values) do
    words[#words + 1] = name .. '=' .. value
  end
  table.sort(words)
  return table.concat(words, ' ')
end

local before = meta.settings or ''
local declared = redis.call('HGET', key.meta, 'declared') or ''
if not (queue.is_readable(before) and queue.is_readable(declared)) then
  return { 'unreadable', now_ms }
end

local values, last, is_new = values_in(before), values_in(declared), false
for name, value in pairs(args.said) do
  if args.by == 'operator' then
    values[name] = value
  elseif not last[name] or (args.by == 'code' and last[name] ~= value) then
    values[name], last[name], is_new = value, value, true
  end
end
if is_new then
  declared = '1 ' .. as_text(last)
  queue.set_meta('declared', declared)
end

local after = before
if as_text(values) ~= as_text(values_in(before)) then
  local revision = queue.number(string.match(before, '^1 (%d+)')) + 1
  after = '1 ' .. queue.whole(revision) .. ' ' .. as_text(values)
  queue.set_meta('settings', after)
  if queue.setting('keep_events') == 0 then
    redis.call('UNLINK', key.events)
  end
  if string.find(after, ' limit_', 1, true) then
    -- More may be claimed than before, or must be looked for at another moment.
    queue.forget_started()
    if not meta.paused then
      queue.arm(0)
    end
  end
end
queue.save_meta()
return { 'configured', now_ms, before, after, declared }
