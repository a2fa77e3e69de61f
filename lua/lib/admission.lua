-- What a claim does for jobs with a gate (gate.lua): leaves those that are held back, and takes others instead.
-- needs: arguments, claim, pass, admit, running
-- rarely: meta, rate, group_share, paces

-- What is being claimed, and the groups that this touches.
local claimed, groups, starting

-- Adds jobs to what is being claimed. `external`: the positions of those whose payload lies apart. held: the ids of those
-- that are not added, or nil.
function queue.add_claimed(ids, records, external, held)
  local apart = {}
  for _, position in ipairs(external) do
    apart[position] = true
  end
  local into, into_records, at = claimed.ids, claimed.records, #claimed.ids
  for i = 1, #ids do
    if not held or not held[ids[i]] then
      at = at + 1
      into[at], into_records[at] = ids[i], records[i]
      if apart[i] then
        claimed.external[#claimed.external + 1] = at
      end
    elseif meta.limited then
      queue.take_back_start(records[i])
    end
  end
end

-- Of what was taken out of the line, adds what may start.
local function add_what_may_start(part)
  local held, touched = queue.pass_gates(part.ids, part.records, starting)
  queue.add_claimed(part.ids, part.records, part.external, held)
  claimed.bytes = claimed.bytes + part.bytes
  for _, gate in ipairs(touched) do
    if not groups[gate.name] then
      groups[gate.name], groups[#groups + 1] = true, gate
    end
  end
end

-- Whether anything stands in line, after `part` was taken out of it.
local function is_more_in_line(part)
  if args.handlers then
    -- What others handed back was mixed in.
    return redis.call('EXISTS', key.waiting) == 1
  end
  return part.more
end

-- `part` is what was taken out of the line, as take_from_line returns it. Returns the same with what may start in it. If there is
-- room, more is taken: from the line, and once the line is empty, from what the groups hold back.
function queue.go_by_gates(part, limit, max_bytes)
  local ROUNDS = 4
  claimed = {
    ids = {}, records = {}, external = {}, bytes = 0, suspects = part.suspects, offers_left = part.offers_left,
  }
  groups, starting = {}, {}
  local is_line_left = is_more_in_line(part)
  add_what_may_start(part)
  for _ = 2, ROUNDS do
    if meta.limited and queue.waits_for_heavy_job() or not is_line_left or #claimed.ids >= limit or claimed.bytes >= max_bytes then
      break
    end
    part = queue.take_from_line(limit - #claimed.ids, max_bytes - claimed.bytes, 0, 'must fit')
    claimed.offers_left = claimed.offers_left or part.offers_left
    is_line_left = is_more_in_line(part)
    add_what_may_start(part)
  end
  if not is_line_left and not (meta.limited and queue.waits_for_heavy_job()) then
    queue.take_from_groups(groups, limit, max_bytes, claimed, starting)
  end
  queue.start_running(starting)
  if meta.limited then
    queue.save_started()
  end
  -- Else it is asked for when it has to be known.
  claimed.more = queue.admit(groups, not is_line_left) or is_line_left or nil
  local paced = {}
  for _, gate in ipairs(groups) do
    paced[#paced + 1] = gate.pace and gate.pace.started > 0 and gate or nil
  end
  if #paced > 0 then
    queue.save_paces(paced)
  end
  return claimed
end
