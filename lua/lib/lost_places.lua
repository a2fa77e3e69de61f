-- Places of jobs that are in no list any more (lost.lua) and come to their gates.
-- needs: order, optional

-- Jobs of which the record holds no place yet, because they were delayed since they were enqueued, get one at the back of their
-- priority, in `places` as well; but not those of the set `left`.
function queue.give_lost_places(ids, places, left)
  local anew, options, at, moved = {}, {}, {}, {}
  for i = 1, #ids do
    local option = { priority = queue.priority_at(places[i]) }
    if not left[ids[i]] and places[i] == queue.first_places({ option })[1] then
      anew[#anew + 1], options[ids[i]], at[#at + 1] = ids[i], option, i
    end
  end
  if #anew == 0 then
    return
  end
  for n, place in ipairs(queue.take_places(anew, options)) do
    places[at[n]], moved[2 * n - 1], moved[2 * n] = place, anew[n], place
  end
  redis.call('HSET', key.places, unpack(moved))
  queue.made(key.places)
end
