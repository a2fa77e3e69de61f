#!lua flags=allow-oom
-- Stops claims of all jobs of one name, or lets them go on (lib/paused_names.lua); jobs that run go on. args: name (encoded),
-- pause (whether the jobs of the name are to be paused), most (so many names may be paused).
-- Answers { 'done', now_ms, changed }, or { 'full', now_ms } if too many names are paused already. O(names). Harmless when
-- repeated.
-- needs: arguments, meta
-- rarely: arm, emit, emit_value, news, unset, resumed, whole

local word, known = ' ' .. args.name .. ' ', meta.paused_names or ' '
local from, to = string.find(known, word, 1, true)
local changed = (from ~= nil) ~= args.pause
if changed and args.pause then
  local _, names = string.gsub(known, '%S+', '')
  if names >= args.most then
    return { 'full', now_ms }
  end
  queue.set_meta('paused_names', known .. args.name .. ' ')
  queue.emit_value('paused', args.name)
elseif changed then
  if meta.blocked then
    -- Fails before anything is written if another program has put another type there.
    redis.call('ZCARD', key.paced)
    redis.call('ZCARD', key.blocked_by)
  end
  local left = string.sub(known, 1, from) .. string.sub(known, to + 1)
  if left == ' ' then
    queue.unset_meta('paused_names')
  else
    queue.set_meta('paused_names', left)
  end
  queue.emit_value('resumed', args.name)
  -- Meanwhile these jobs were offered to nobody: they are news for every worker.
  if queue.number(meta.unhandled) > 0 then
    queue.tell_of_unhandled()
  end
  if meta.blocked then
    queue.expect_back(args.name)
  end
  if not meta.paused then
    queue.arm(0)
  end
end
if changed then
  queue.flush_events()
  queue.save_meta()
end
return { 'done', now_ms, changed and 1 or 0 }
