-- What workers have counted, minute by minute: `history` has a field for each minute of a day, which is written anew a day later. Its first
-- line is the minute, the moment of the last report (ms), the totals of the queue then, and how many jobs waited; each further line is what was
-- counted of the jobs of one name: `<completed> <retried> <dead> <cancelled> <waits> <runs> <name>`. Waits and runs are `<bucket>:<jobs>,..`, or
-- `-` for none (policy/histogram.rs).
-- needs: whole

local MINUTES, NAMES_AT_MOST, OTHERS = 1440, 100, '(others)'
local DAY_MS = 86400000
-- A queue in which nothing happens is written down so often.
local QUIET_MINUTES = 10

local function add_buckets(text, buckets)
  for bucket, jobs in string.gmatch(text, '(%d+):(%d+)') do
    bucket = queue.number(bucket)
    buckets[bucket] = (buckets[bucket] or 0) + queue.number(jobs)
  end
end

local function text_of(buckets)
  local order, words = {}, {}
  for bucket in pairs(buckets) do
    order[#order + 1] = bucket
  end
  table.sort(order)
  for i = 1, #order do
    words[i] = queue.whole(order[i]) .. ':' .. queue.whole(buckets[order[i]])
  end
  return #words > 0 and table.concat(words, ',') or '-'
end

-- Adds lines to what is known of each name, in the order in which the names come.
local function add_lines(text, known, order)
  for line in string.gmatch(text, '[^\n]+') do
    local counts = { string.match(line, '^(%d+) (%d+) (%d+) (%d+) (%S+) (%S+) (.+)$') }
    local name = counts[7]
    if name and not known[name] and #order >= NAMES_AT_MOST then
      name = OTHERS
    end
    if name then
      if not known[name] then
        known[name] = { counts = { 0, 0, 0, 0 }, waits = {}, runs = {} }
        order[#order + 1] = name
      end
      local of = known[name]
      for i = 1, 4 do
        of.counts[i] = of.counts[i] + queue.number(counts[i])
      end
      add_buckets(counts[5], of.waits)
      add_buckets(counts[6], of.runs)
    end
  end
end

-- What the queue has counted itself, and how many jobs wait.
local function totals()
  local counted = redis.call('HMGET', key.meta, 'added', 'replayed', 'completed', 'cancelled', 'dead', 'retried')
  for i = 1, 6 do
    counted[i] = queue.whole(queue.number(counted[i]))
  end
  counted[7] = queue.whole(redis.call('ZCARD', key.waiting) + redis.call('ZCARD', key.suspects)
    + redis.call('ZCARD', key.unhandled) + redis.call('ZCARD', key.blocked))
  return table.concat(counted, ' ')
end

-- Adds what a worker has counted (`lines`) to the minute.
function queue.tally(lines)
  local minute, now = math.floor(now_ms / 60000), totals()
  if lines == '' and minute % QUIET_MINUTES > 0 and redis.call('HGET', key.history, 'last') == now then
    return
  end
  local slot, known, order = queue.whole(minute % MINUTES), {}, {}
  local written = redis.call('HGET', key.history, slot) or ''
  local first, rest = string.match(written, '^(%d+) [^\n]*\n?(.*)$')
  if tonumber(first) == minute then
    add_lines(rest, known, order)
  end
  add_lines(lines, known, order)
  local text = { queue.whole(minute) .. ' ' .. now_text .. ' ' .. now }
  for i = 1, #order do
    local of = known[order[i]]
    for n = 1, 4 do
      text[#text + 1] = (n == 1 and '\n' or ' ') .. queue.whole(of.counts[n])
    end
    text[#text + 1] = ' ' .. text_of(of.waits) .. ' ' .. text_of(of.runs) .. ' ' .. order[i]
  end
  redis.call('HSET', key.history, slot, table.concat(text), 'last', now)
  redis.call('PEXPIRE', key.history, queue.whole(DAY_MS))
end
