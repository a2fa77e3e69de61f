-- Jobs with traits leave what they were: what waits for them may go on.
-- needs: gates_left, freed, tell
-- rarely: spawned

-- Jobs leave what they were: a list of { id, record, from, to }. `from`: the list in which a job was ('active', 'waiting', ..,
-- 'lost' for none; 'blocked' jobs have left theirs already), `to`: where it goes ('waiting', 'delayed', 'dead', 'removed',
-- 'ended' for all else), `outcome`: how it ended, if it did. And of_groups, or nil: completed jobs of groups (leaving.lua).
-- What waits for them may go on.
function queue.leave(jobs)
  local told = {}
  if #jobs > 0 then
    queue.free_keys(jobs)
    told = queue.tell_parents(jobs)
  end
  queue.leave_gates(jobs)
  if #told > 0 then
    queue.wake_parents(told)
  end
end
