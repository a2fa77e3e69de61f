#!lua flags=allow-oom
-- A saga that runs is to be undone (lib/saga.lua). args: id, receipt. ARGV[2] is why, as it is stored for a cancelled job. A request to
-- cancel the job counts more, and is taken with it; what was asked for first counts most.
-- Answers { 'undoing', now_ms, why }, or { 'lost', now_ms }. O(1). Harmless when repeated.
-- needs: arguments, refuse, requests, saga

if queue.refuse() then
  return { 'lost', now_ms }
end
local requests, sagas = queue.take_requests({ args.id })
local request, state = requests[1], sagas[args.id]
if state and not queue.goes_forward(state) then
  return { 'undoing', now_ms, state }
end
local why = request or ARGV[2]
queue.begin_undo(args.id, why)
return { 'undoing', now_ms, why }
