-- Running totals of what ever happened in this queue. Totals that most calls change are among the
-- numbers of `meta` that are read and written together.
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
      -- Another program wrote a text that is no number: the count begins anew.
      redis.call('HSET', key.meta, what, n)
    end
  end
end
