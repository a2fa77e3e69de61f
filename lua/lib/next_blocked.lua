-- Reading the next of what gates (gate.lua) hold back.
-- needs: meta, whole
-- rarely: aside

-- Adds the next `limit` jobs of a gate to `page`: lists of ids, members and their gates. Returns how many there are. with_next: the
-- one behind these, if there is one, is gate.next, a map of id and member.
local function read_next(page, gate, limit, with_next)
  local DIGITS = 16
  local id_at = #gate.name + 1 + DIGITS + 1
  local members = redis.call('ZRANGE', key.blocked_by, '[' .. gate.name .. '\0', '(' .. gate.name .. '\1',
    'BYLEX', 'LIMIT', '0', queue.whole(with_next and limit + 1 or limit))
  local last = members[limit + 1]
  gate.next = last and { id = string.sub(last, id_at), member = last }
  members[limit + 1] = nil
  local ids, read, gates, at = page.ids, page.members, page.gates, #page.ids
  for i = 1, #members do
    ids[at + i], read[at + i], gates[at + i] = string.sub(members[i], id_at), members[i], gate
  end
  return #members
end

-- What `blocked` has from the first of these ids to the last, if it is these and no others, in this order; else nil. One range finds
-- them then, and one takes them out, for less than half of what it costs to look for each. Jobs of a group that is alone mostly
-- stand like this, because ids grow. `behind`: the job behind them, which is to be the last of the row, or nil.
local function row_of(ids, behind)
  local n = #ids
  if behind then
    n = n + 1
    ids = { unpack(ids) }
    ids[n] = behind.id
  end
  local row = redis.call('ZRANGE', key.blocked, '[' .. ids[1], '[' .. ids[n], 'BYLEX', 'LIMIT', '0', queue.whole(n + 1))
  for i = 1, math.max(n, #row) do
    if row[i] ~= ids[i] then
      return nil
    end
  end
  return row
end

-- The next jobs that gates hold back, limits[i] of gates[i], and `room` in all: a map of lists: ids, members, gates, and due,
-- when they are due, as text. Members that belong to no blocked job are dropped: another program deleted what they belong to. Jobs
-- of paused names are moved aside (aside.lua). with_next: as of read_next; and if the page, with the one behind it, is one row of `blocked`, it
-- has the ids of that as `row`, and no `due`. Also returns how many members there were of each gate, how many
-- were dropped or moved, and how many of these were moved. A limit that is above what is left of `room` is changed.
function queue.next_blocked(gates, limits, room, with_next)
  local read, found = { ids = {}, members = {}, gates = {} }, {}
  for i, gate in ipairs(gates) do
    limits[i] = math.min(limits[i], room - #read.ids)
    found[i] = limits[i] > 0 and read_next(read, gate, limits[i], with_next) or 0
  end
  read.row = with_next and #gates == 1 and #read.ids > 0 and not meta.paused_names and row_of(read.ids, gates[1].next)
  if read.row then
    return read, found, 0, 0
  end
  local due, stale = #read.ids > 0 and redis.call('ZMSCORE', key.blocked, unpack(read.ids)), {}
  for i = 1, #read.ids do
    if not due[i] then
      stale[#stale + 1] = read.members[i]
    end
  end
  read.due = due
  local is_moved, moved = {}, 0
  if meta.paused_names and #read.ids > 0 then
    is_moved, moved = queue.move_aside(read)
  end
  if #stale + moved == 0 then
    return read, found, 0, 0
  end
  if #stale > 0 then
    redis.call('ZREM', key.blocked_by, unpack(stale))
  end
  local page = { ids = {}, members = {}, gates = {}, due = {} }
  for i = 1, #read.ids do
    if due[i] and not is_moved[i] then
      local at = #page.ids + 1
      page.ids[at], page.members[at], page.gates[at], page.due[at] = read.ids[i], read.members[i], read.gates[i], due[i]
    end
  end
  return page, found, #stale + moved, moved
end
