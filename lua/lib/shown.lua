-- The state of a job that lies in a collection of `state`. Cancelled jobs lie in the same collections as completed jobs; the
-- outcome shows which of the two a job is: behind the moment (9 bytes) stands a MessagePack map whose first key is `cancelled` or
-- `compensated`, or the text `expired`. The reason has 4 KiB at most, so no large result is read for it.
function queue.shown_state(id, state)
  if state == 'completed' and redis.call('HSTRLEN', key.results, id) < 4200 then
    local outcome = redis.call('HGET', key.results, id) or ''
    local is_undone = string.sub(outcome, 10, 22) == '\129\171compensated'
    if is_undone or string.sub(outcome, 10, 20) == '\129\169cancelled' or string.sub(outcome, 10) == '\167expired' then
      return 'cancelled'
    end
  end
  return state
end
