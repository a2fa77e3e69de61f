-- A breaker: whether calls of a dependency may go, for all processes. `breaker` is a hash: state is `<state> <forced> <since> <until> <turns> <passed> <succeeded>
-- <opened>`, why the last reason to open, window what was counted (breaker_window.lua), probes `<number>:<until> ..` of those under way, settings `<window> <open> <probe>` of the last call, in ms.
-- state: closed; open, until then; half-open, while probes tell whether calls succeed; rising, for a while after that. forced: -, open or closed. since: when the state began. turns:
-- how many turns were given since calls flowed. Since the state began: passed, how many calls were let through while it rises; succeeded, how many probes ended well.
-- opened: how often failures have opened it. A probe of number 0 has said nothing, and its place is free then. Every call brings the settings.
-- needs: arguments, whole, meta
-- rarely: emit, emit_value

local kept

-- is_call: it is asked for a call. Others may not know the settings: those of the last call hold for them.
function queue.breaker(is_call)
  kept = redis.call('HMGET', key.breaker, 'state', 'why', 'window', 'probes', 'settings')
  local state, forced, rest = string.match(kept[1] or '', '^([%l-]+) ([%l-]+) ([%d ]+)$')
  local numbers = {}
  for number in string.gmatch(rest or '', '%d+') do
    numbers[#numbers + 1] = queue.number(number)
  end
  local window_ms, open_ms, probe_ms = string.match(kept[5] or '', '^(%d+) (%d+) (%d+)$')
  if window_ms and not is_call then
    args.window_ms, args.open_ms, args.probe_ms = queue.number(window_ms), queue.number(open_ms), queue.number(probe_ms)
  end
  local it = {
    is_first = not kept[1], state = state or 'closed', forced = forced or '-', why = kept[2] or '', window = kept[3] or '', probes = {}, changed = '',
    since = numbers[1] or now_ms, until_ms = numbers[2] or 0, turns = numbers[3] or 0, passed = numbers[4] or 0, succeeded = numbers[5] or 0,
    opened = numbers[6] or 0, longest_ms = math.max(args.window_ms, window_ms and queue.number(window_ms) or 0),
  }
  -- The clock may have been set back, and the settings may have changed.
  it.since = math.min(it.since, now_ms)
  it.until_ms = math.min(it.until_ms, now_ms + args.open_ms)
  for number, until_ms in string.gmatch(kept[4] or '', '(%d+):(%d+)') do
    until_ms = tonumber(until_ms)
    -- One that has not told how it ended is forgotten.
    if until_ms > now_ms and until_ms <= now_ms + args.probe_ms then
      it.probes[#it.probes + 1] = { number = tonumber(number), until_ms = until_ms }
    end
  end
  return it
end

function queue.save_breaker(it)
  local words, probes = { it.state, it.forced }, {}
  for i, number in ipairs({ it.since, it.until_ms, it.turns, it.passed, it.succeeded, it.opened }) do
    words[i + 2] = queue.whole(number)
  end
  for i, probe in ipairs(it.probes) do
    probes[i] = queue.whole(probe.number) .. ':' .. queue.whole(probe.until_ms)
  end
  local changes = {}
  local function keep(field, value, before)
    if value ~= before then
      changes[#changes + 1], changes[#changes + 2] = field, value
    end
  end
  keep('state', table.concat(words, ' '), kept[1])
  keep('why', it.why, kept[2])
  keep('window', it.window, kept[3])
  keep('probes', table.concat(probes, ' '), kept[4])
  keep('settings', table.concat({ queue.whole(args.window_ms), queue.whole(args.open_ms), queue.whole(args.probe_ms) }, ' '), kept[5])
  if it.changed ~= '' then
    queue.emit_value('breaker', it.changed)
    queue.flush_events()
    queue.save_meta()
  end
  if #changes > 0 then
    redis.call('HSET', key.breaker, unpack(changes))
  end
end

function queue.change_breaker(it, state)
  -- What was counted while it rose still counts.
  if it.state ~= 'rising' or state ~= 'closed' then
    it.window = ''
  end
  -- While probes fail, turns go on: so the longer it takes, the less often each job asks.
  local flows = { closed = true, rising = true }
  if flows[it.state] or flows[state] then
    it.turns = 0
  end
  it.until_ms = state == 'open' and now_ms + args.open_ms or 0
  it.state, it.since, it.passed, it.succeeded, it.probes, it.changed = state, now_ms, 0, 0, {}, state
end

-- How many calls a rate lets through that begins at args.rate a second, so many ms ago, and grows by as much each second.
function queue.risen(ms)
  local seconds = math.max(0, ms) / 1000
  return math.min(10 ^ 12, math.floor(args.rate * (seconds + seconds * seconds / 2)))
end

-- A call is refused: after how many ms its job may ask again. The jobs come back one after the other, in the order in which they were refused, at the rate at which
-- they are to flow later: from the end of the time for which it is open, or from a second after the first probe. No turn is more than 5 minutes behind that.
function queue.breaker_turn(it)
  local from = it.state == 'open' and it.until_ms or it.state == 'half-open' and it.since + 1000 or it.since
  it.turns = math.max(it.turns, queue.risen(now_ms - from)) + 1
  local after = math.floor(1000 * (math.sqrt(1 + 2 * it.turns / args.rate) - 1))
  return math.max(1, math.min(from + after - now_ms, args.open_ms + 300000))
end
