-- The next job of each of many gates (gate.lua).
-- needs: meta, next_blocked

-- The same as heads_of if the next job of each of these gates was read before, behind a page (gate.next), and is still blocked; else
-- nil. are_taken: it was taken with the page (group_share.lua), of a group that is alone.
local function heads_behind_pages(gates)
  local first = gates[1].next
  if first and first.is_taken then
    gates[1].next = nil
    return { ids = { first.id }, gates = gates, due = { '0' }, records = { first.record }, are_taken = true }
  end
  local heads = { ids = {}, members = {}, gates = gates }
  for i, gate in ipairs(gates) do
    if not gate.next then
      return nil
    end
    heads.ids[i], heads.members[i] = gate.next.id, gate.next.member
  end
  heads.due = redis.call('ZMSCORE', key.blocked, unpack(heads.ids))
  local are_blocked = true
  for i, gate in ipairs(gates) do
    gate.next = nil
    are_blocked = are_blocked and heads.due[i]
  end
  return are_blocked and heads or nil
end

-- The next job of each of these gates, as `next_blocked` returns it. A gate looks a few times for a job behind members that belong
-- to none, and as often as needed for one behind jobs of paused names: each time that moves some of them (aside.lua).
function queue.heads_of(gates)
  local behind = not meta.paused_names and #gates > 0 and heads_behind_pages(gates)
  if behind then
    return behind
  end
  local PAGES, WIDEST, AT_MOST = 4, 64, 256
  local heads, open, has_head, looked, width = { ids = {}, members = {}, gates = {}, due = {} }, gates, {}, 0, 1
  while looked < PAGES and #open > 0 do
    local limits, more = {}, {}
    for i = 1, #open do
      limits[i] = width
    end
    local page, found, passed, moved = queue.next_blocked(open, limits, #open * width)
    for i = 1, #page.ids do
      if not has_head[page.gates[i]] then
        local at = #heads.ids + 1
        heads.ids[at], heads.members[at] = page.ids[i], page.members[i]
        heads.gates[at], heads.due[at] = page.gates[i], page.due[i]
        has_head[page.gates[i]] = true
      end
    end
    if passed == 0 then
      break
    end
    if moved > 0 then
      width = math.max(1, math.min(4 * width, WIDEST, math.floor(AT_MOST / #open)))
    else
      looked = looked + 1
    end
    for i, gate in ipairs(open) do
      if found[i] > 0 and not has_head[gate] then
        more[#more + 1] = gate
      end
    end
    open = more
  end
  return heads
end

-- Whether a gate that has no turn holds any job back.
function queue.holds_any(gate)
  return meta.blocked and #queue.heads_of({ gate }).ids > 0
end
