#!lua flags=allow-oom
-- The one call of a busy worker: ends attempts, promotes some due jobs, claims new ones.
-- args: lane, call, worker, claim, claim_bytes, suspect (how many suspects at most; with them alone,
-- see lib/suspects.lua), lease_ms, hold, those of lib/settle.lua,
-- and in a queue whose workers differ: handlers (the names for which the caller has handlers), heard
-- (the last news of unhandled jobs that it has heard) and again (tell all workers once more); and ask:
-- do nothing, but say whether the call ran (lib/once.lua). A call
-- with handlers or again, or one that hands a job back by its name, is sent as a second script, which
-- has the fragments and keys for that in it (store/advance.rs).
-- Answers what was refused, what was claimed and when there will be more to do, in one flat list
-- (a list in the list costs as much as a dozen numbers): { 'new' | 'repeated', now_ms, more,
-- next_at, tick, suspects, first_fence, receipt, #refused, refused .., #fences, fences .., #ids,
-- ids .., records .., extras .. }, or { 'superseded' | 'asked', now_ms }. The fences are consecutive from
-- first_fence, but for a repeated call, which names those that still hold. more is 1 or 0, plus twice
-- the number that stands for the news of unhandled jobs (lib/news.lua).
-- O((settled + promoted + claimed) log N), each at most 256.
-- needs: arguments, meta, whole, once, settle, due, settings, claim, optional, cap, arm, reply
-- needs: deliver
-- rarely: again, lists, promote, timer, tick, active, emit
-- with unhandled: overdue

local status, answer = queue.begin_call(args.lane, args.call, args.ask)
if status == 'superseded' or status == 'asked' then
  return { status, now_ms }
end

local refused, fences = {}, {}
local claimed = { ids = {}, records = {}, external = {}, suspects = 0 }
local due_ms
if status == 'repeated' then
  local positions, receipt, names = string.match(answer, '^(.-)\n(.-)\n(.*)$')
  refused = queue.words(positions)
  claimed, fences = queue.still_claimed(receipt, names)
  due_ms = queue.next_due()
else
  refused = queue.settle()
  due_ms = queue.next_due()
  if due_ms and due_ms <= now_ms and not meta.paused then
    local AT_LEAST, AT_MOST = 64, 256
    queue.promote(math.min(AT_MOST, math.max(AT_LEAST, 2 * args.claim)))
    due_ms = queue.next_due()
  end
  if args.again and not meta.paused then
    queue.tell_again()
  end
  if args.claim > 0 and not meta.paused then
    claimed = queue.claim(args.claim, args.claim_bytes, args.suspect, args.worker, args.lease_ms)
  end
end

-- What there is left to do, and when there will be more.
local ids = claimed.ids
local suspects = queue.has(key.suspects) and redis.call('ZCARD', key.suspects) or 0
local more = claimed.more
if more == nil then
  more = redis.call('EXISTS', key.waiting) == 1
end
more = more or (due_ms and due_ms <= now_ms)
local unhandled = queue.number(meta.unhandled)
local drained = not more and not due_ms and suspects == 0 and #ids == 0 and unhandled == 0
local next_at
if meta.paused then
  more, unhandled = false, 0
elseif not more and due_ms then
  next_at = queue.hold_timer(due_ms)
end
-- A worker that blocks on the token takes what this caller has no room for. Suspects are offered on
-- only by a caller that took one: workers that are all busy with a suspect would otherwise wake
-- each other for ever.
if more or (claimed.suspects > 0 and suspects > 0) then
  queue.arm(0)
end
-- A worker that hears the news for the first time wakes another one. The token goes to the worker that
-- has waited longest, so all idle workers hear the news one after the other, and then it ends.
if unhandled > 0 and args.heard ~= unhandled then
  queue.arm(0)
end

if status == 'new' then
  if args.settle > #refused then
    local TRIMMED_AT_MOST = 256
    if queue.setting('keep_completed_ms') > 0 then
      queue.cap_completed(TRIMMED_AT_MOST)
    end
    if drained and queue.active_count() == 0 then
      queue.emit_value('drained', '')
    end
  end
  queue.end_call(args.lane, args.call,
    table.concat(refused, ' ') .. '\n' .. (claimed.receipt or '') .. '\n' .. (claimed.names or ''))
  queue.flush_events()
end
local tick_ms = meta.tick and queue.hold_tick()
queue.save_meta()

local reply = {
  status, now_ms, ((more or claimed.offers_left) and 1 or 0) + 2 * unhandled, next_at or -1, tick_ms or -1, suspects,
  claimed.first_fence or 0, claimed.receipt or '',
}
queue.append_list(reply, refused)
queue.append_list(reply, fences)
queue.append_list(reply, ids)
for i = 1, #ids do
  reply[#reply + 1] = claimed.records[i]
end
queue.deliver(reply, ids, claimed.external)
return reply
