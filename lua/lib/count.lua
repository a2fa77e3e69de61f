-- Running totals of what ever happened in this queue. Those that most calls count are among the
-- numbers that are read and written together.
function queue.count(what, n)
  if n == 0 then
    return
  end
  if meta[what] ~= nil then
    queue.set_meta(what, queue.whole((tonumber(meta[what]) or 0) + n))
  else
    redis.call('HINCRBY', key.meta, what, n)
  end
end
