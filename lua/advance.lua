#!lua flags=allow-oom
-- The one call of a busy worker: ends attempts, promotes some due jobs, claims new ones.
-- args: lane, call, worker, claim, claim_bytes, suspect (how many suspects at most; with them alone,
-- see lib/suspects.lua), lease_ms, hold, those of lib/settle.lua,
-- and in a queue whose workers differ: handlers (the names for which the caller has handlers), heard
-- (the last news of unhandled jobs that it has heard) and again (tell all workers once more); and ask:
-- do nothing, but say whether the call ran (lib/once.lua); and traits: jobs with traits may be claimed. A call
-- with handlers, again or traits, or one that hands a job back by its name or ends a job with traits, is sent as a second
-- script, `with all`, which has the fragments and keys for that in it (store/advance.rs).
-- Answers what was refused, what was claimed and when there will be more to do, in one flat list (a list in the list costs as
-- much as a dozen numbers): { 'new' | 'repeated', now_ms, told, next_at, tick, suspects, first_fence, receipt, #refused,
-- refused .., #fences, fences .., #ids, ids .., records .., extras .. }, or { 'superseded' | 'asked', now_ms }. The fences are
-- consecutive from first_fence; a repeated call names the fences that the worker still holds. extras are what lib/deliver.lua
-- says of claimed jobs, and (position, 'cancelled', outcome) of each attempt that ended as cancelled although the caller says
-- otherwise (lib/cancelled.lua), and (0, 'outbox', '') if something was put into the outbox; a repeated call does not say this again. told is 1 if more could be claimed right now, else 0,
-- plus 2 if the next call is to ask for jobs with traits, plus four times the news of unhandled jobs (lib/news.lua), which
-- cost a byte in each answer otherwise. If limits of the queue hold back what waits, told is this (without the 1) taken from -1.
-- O((settled + promoted + claimed) log N), each at most 256.
-- needs: arguments, meta, once, settle, due, claim, outlook, settings, cap, arm, emit, reply
-- needs: deliver, whole
-- rarely: lists, again, promote, active, emit_value, tick, head, hold_queue, suspects
-- with all: overdue, expire, types, claim_types, far_types, paces

local status, answer = queue.begin_call(args.lane, args.call, args.ask)
if status == 'superseded' or status == 'asked' then
  return { status, now_ms }
end

if args.traits then
  queue.check_types()
  queue.check_types_of_claims()
  queue.check_outbox()
end

-- Ends attempts, promotes, claims: in this order, so that a job that goes back in line, or has become due, can be
-- claimed by this very call. A repeated call does none of it again.
local refused, overruled, fences, due_ms, claim = {}, nil, {}, nil, args.claim
local claimed, is_too_plain, expired = { ids = {}, records = {}, external = {}, suspects = 0 }, false, 0
if status == 'repeated' then
  refused, claimed, fences = queue.answer_again(answer)
  due_ms = queue.next_due()
else
  if meta.hold_is_over then
    queue.end_hold()
  end
  refused, overruled = queue.settle()
  local is_over = meta.expiring and queue.number(meta.expiring) <= now_ms
  if is_over and args.traits then
    expired = queue.expire(256)
    is_over = meta.expiring and queue.number(meta.expiring) <= now_ms
  end
  due_ms = queue.next_due()
  local is_due = due_ms and due_ms <= now_ms and not meta.paused
  local opens = meta.blocked and meta.paced and queue.number(meta.paced) <= now_ms
  if opens and args.traits then
    queue.look_at_paced(256)
  end
  -- Jobs of groups are among what is due, or a group may go on: only the script with all keys can see to that, and nothing is claimed
  -- before. Nor is anything claimed before what is over has ended, nor by the script with few keys while names are paused.
  is_too_plain = is_over or (meta.paused_names or opens or is_due and meta.gated) and not args.traits
  if is_due and not is_too_plain then
    due_ms, claim = queue.promote_before_claim(args.claim)
  end
  if args.again and not meta.paused then
    queue.tell_again()
  end
  if claim > 0 and not meta.paused and not is_too_plain then
    claimed = queue.claim(claim, args.claim_bytes, args.suspect, args.worker, args.lease_ms)
  end
end

local more, next_at_ms, suspects, news, is_drained, held = queue.outlook(claimed, due_ms)

-- Wakes a worker that blocks on the token, which takes the jobs for which this caller has no room, or the suspects that it may not
-- run. A worker that hears the news for the first time wakes another one. The token goes to the worker that
-- has waited longest, so all idle workers hear the news one after the other, and then it ends.
if more or (suspects > 0 and not held and queue.offers_suspects(claimed)) or (news > 0 and args.heard ~= news) then
  queue.arm(0)
end

-- Keeps as many completed jobs as are set, says that the last open job is gone, and stores the answer.
if status == 'new' then
  if args.settle > #refused or expired > 0 then
    if queue.setting('keep_completed_ms') > 0 then
      queue.cap_completed(256)
    end
    if is_drained and queue.active_count() == 0 then
      queue.emit_value('drained', '')
    end
  end
  queue.end_call(args.lane, args.call,
    table.concat(refused, ' ') .. '\n' .. (claimed.receipt or '') .. '\n' .. (claimed.names or ''))
  queue.flush_events()
end
local tick_ms = meta.tick and queue.hold_tick()
queue.save_meta()

local traits = claimed.meets_traits or is_too_plain or meta.paused_names
for i = 1, args.traits and not traits and #claimed.ids or 0 do
  traits = traits or queue.has_traits(claimed.records[i])
end
local told = ((more or claimed.offers_left) and not held and 1 or 0) + (traits and 2 or 0) + 4 * news
told = held and -1 - told or told
local reply = {
  status, now_ms, told, next_at_ms or -1, tick_ms or -1, suspects, claimed.first_fence or 0, claimed.receipt or '',
}
queue.append_list(reply, refused)
queue.append_list(reply, fences)
queue.append_list(reply, claimed.ids)
for i = 1, #claimed.ids do
  reply[#reply + 1] = claimed.records[i]
end
queue.deliver(reply, claimed.ids, claimed.external)
if overruled then
  for i = 1, #overruled, 2 do
    queue.append(reply, overruled[i], 'cancelled')
    reply[#reply + 1] = overruled[i + 1]
  end
end
return reply
