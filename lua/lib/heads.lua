-- The next job of each of many gates (gate.lua).
-- needs: meta, blocked

-- The next job of each of these gates, as `next_blocked` returns it. A gate looks a few times for a job behind members that belong
-- to none.
function queue.heads_of(gates)
  local PAGES = 4
  local heads, open = { ids = {}, members = {}, gates = {}, due = {} }, gates
  for _ = 1, PAGES do
    local limits, more = {}, {}
    for i = 1, #open do
      limits[i] = 1
    end
    local page, found, stale = queue.next_blocked(open, limits, #open)
    for i = 1, #page.ids do
      local at = #heads.ids + 1
      heads.ids[at], heads.members[at] = page.ids[i], page.members[i]
      heads.gates[at], heads.due[at] = page.gates[i], page.due[i]
    end
    if stale == 0 then
      break
    end
    local has_head = {}
    for _, gate in ipairs(page.gates) do
      has_head[gate] = true
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
