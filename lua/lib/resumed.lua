-- Names that were resumed: what groups hold back of their jobs (aside.lua) goes back among the others, in bounded steps. Until that
-- is done, `paced` (paces.lua) has the name, with the same letter before it as in `blocked_by`, and a moment that is past.
-- needs: meta, whole, aside, paused_names

-- If jobs of this name, encoded, are aside, workers take them back.
function queue.expect_back(word)
  local name = queue.aside_of(word)
  local first = redis.call('ZRANGE', key.blocked_by, '[' .. name .. '\0', '(' .. name .. '\1', 'BYLEX', 'LIMIT', '0', '1')
  if #first == 0 then
    return
  end
  redis.call('ZADD', key.paced, now_text, name)
  if not meta.paced or queue.number(meta.paced) > now_ms then
    queue.set_meta('paced', now_text)
  end
end

-- Moves up to `limit` jobs of these names, as `paced` has them, back. Names of which nothing is left to do are dropped. Returns
-- the names of the gates of the jobs, and whether more is left.
function queue.take_back(names, limit)
  local gates, done = {}, {}
  for _, name in ipairs(names) do
    local is_paused = queue.is_paused_word(string.sub(name, 2))
    local from = not is_paused and limit > 0 and redis.call('ZRANGE', key.blocked_by, '[' .. name .. '\0', '(' .. name .. '\1',
      'BYLEX', 'LIMIT', '0', queue.whole(limit)) or {}
    local to = {}
    for i = 1, #from do
      local member = string.sub(from[i], #name + 2)
      to[2 * i - 1], to[2 * i], gates[#gates + 1] = '0', member, string.match(member, '^[^%z]*')
    end
    if #from > 0 then
      redis.call('ZREM', key.blocked_by, unpack(from))
      redis.call('ZADD', key.blocked_by, unpack(to))
    end
    if is_paused or #from < limit then
      done[#done + 1] = name
    end
    limit = limit - #from
  end
  if #done > 0 then
    redis.call('ZREM', key.paced, unpack(done))
  end
  return gates, #done < #names
end
