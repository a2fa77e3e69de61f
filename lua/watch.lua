#!lua flags=allow-oom
-- Asks for a job's outcome, and has it announced and kept if it is not there yet.
-- args: id, await_ms. Answers { 'finished', now_ms, outcome, last error },
-- { 'pending' | 'missing', now_ms }. O(log N). Harmless when repeated.
-- needs: arguments, watched

local how, outcome, last = queue.watched(args.id, args.await_ms)
if how == 'finished' then
  return { how, now_ms, outcome, last }
end
return { how, now_ms }
