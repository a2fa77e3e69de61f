-- Running totals of what ever happened in this queue.
local function count(what, n)
  if n > 0 then
    redis.call('HINCRBY', key_meta, what, n)
  end
end
