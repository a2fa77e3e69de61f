-- Takes jobs of the names for which the caller has handlers (args.handlers) from among those that other workers could not run,
-- in the order of their places, mixed with the others in line. Names that are paused are noted as asked.
-- needs: arguments, meta, whole, lists, unhandled
-- rarely: attempts, digits, paused_names

-- The jobs that were found: by id, their members of `names`.
local offered = {}

-- The next members of `names` that belong to this name: those after the member `behind`, or the first.
local function page_of(name, behind)
  local AT_ONCE = '16'
  return redis.call('ZRANGE', key.names, behind and '(' .. behind or '[' .. name .. '\0',
    '(' .. name .. '\1', 'BYLEX', 'LIMIT', '0', AT_ONCE)
end

-- The first `limit` of all these names, in the order of their places: lists of ids and of places.
local function first_offered(names, limit)
  local PLACE_DIGITS, ORPHANS_AT_MOST = 16, 256
  local heads, ids, places, orphans = {}, {}, {}, 0
  local function turn(head)
    local offer = head.page[head.at]
    if not offer then
      return false
    end
    local place_at = #head.name + 2
    head.place = string.sub(offer, place_at, place_at + PLACE_DIGITS - 1)
    head.id = string.sub(offer, place_at + PLACE_DIGITS)
    return true
  end
  for _, name in ipairs(names) do
    local head = { name = name, page = page_of(name), at = 1 }
    if turn(head) then
      heads[#heads + 1] = head
    end
  end
  while #heads > 0 and #ids < limit and orphans < ORPHANS_AT_MOST do
    local first = 1
    for i = 2, #heads do
      if heads[i].place < heads[first].place then
        first = i
      end
    end
    local head = heads[first]
    local offer = head.page[head.at]
    -- A member that another program wrote to our keys is no job that waits here.
    if redis.call('ZSCORE', key.unhandled, head.id) then
      offered[head.id] = offer
      ids[#ids + 1], places[#places + 1] = head.id, head.place
    else
      redis.call('ZREM', key.names, offer)
      orphans = orphans + 1
    end
    head.at = head.at + 1
    if head.at > #head.page then
      head.page, head.at = page_of(head.name, offer), 1
    end
    if not turn(head) then
      table.remove(heads, first)
    end
  end
  return ids, places, orphans >= ORPHANS_AT_MOST
end

-- `ids` are the next in line; the first `suspects` of them are suspects; `more` says whether more
-- are in line. Returns the next `limit` ids with the offered jobs mixed in; whether there is more in
-- line; and whether more is offered.
function queue.mix_in_offered(ids, suspects, more, limit)
  if queue.number(meta.unhandled) == 0 then
    return ids, more, false
  end
  local asked = {}
  for _, name in ipairs(args.handlers) do
    queue.append(asked, now_text, name)
  end
  redis.call('ZADD', key.asked, unpack(asked))
  local theirs, their_places, cut = first_offered(meta.paused_names and queue.not_paused(args.handlers) or args.handlers, limit - suspects + 1)
  if #theirs == 0 then
    if redis.call('EXISTS', key.unhandled) == 0 then
      queue.none_unhandled()
    end
    return ids, more, cut
  end
  local mixed, n, mine, their = {}, 0, suspects + 1, 1
  for i = 1, suspects do
    mixed[i], n = ids[i], i
  end
  local scores = {}
  if #ids > suspects then
    scores = redis.call('ZMSCORE', key.waiting, unpack(ids, mine))
  end
  while n < limit and (ids[mine] or theirs[their]) do
    n = n + 1
    local place = ids[mine] and queue.digits_of(scores[mine - suspects])
    if not theirs[their] or (place and place <= their_places[their]) then
      mixed[n], mine = ids[mine], mine + 1
    else
      mixed[n], their = theirs[their], their + 1
    end
  end
  return mixed, more or mine <= #ids, cut or their <= #theirs
end

-- Of the first `seen` of `ids`, takes out the jobs that were offered. Returns how many these are, and
-- how many offered jobs are among the rest of `ids`.
function queue.take_offered(ids, seen)
  local taken, offers, left = {}, {}, 0
  for i = 1, #ids do
    local offer = offered[ids[i]]
    if offer and i <= seen then
      taken[#taken + 1], offers[#offers + 1] = ids[i], offer
    elseif offer then
      left = left + 1
    end
  end
  if #taken > 0 then
    queue.take_unhandled(taken, offers)
    queue.forget_bounces(taken)
  end
  return #taken, left
end
