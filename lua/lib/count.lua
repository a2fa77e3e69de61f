-- Running totals of what ever happened in this queue. Those that most calls count are among the
-- numbers that are read and written together.
-- needs: meta, whole
function queue.count(what, n)
  if n == 0 then
    return
  end
  if meta[what] ~= nil then
    queue.set_meta(what, queue.whole(queue.number(meta[what]) + n))
  else
    local counted = redis.pcall('HINCRBY', key.meta, what, n)
    if type(counted) == 'table' then
      -- What is there is no number of ours, and that holds up nothing: it is counted anew.
      redis.call('HSET', key.meta, what, n)
    end
  end
end
