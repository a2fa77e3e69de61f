-- Jobs whose name is paused (paused_names.lua) make way for the jobs behind them. Those in line wait, at their places, where jobs
-- wait for a worker that has a handler of their name (unhandled.lua); when the name is resumed they come from there, mixed with
-- the others. Those of a group are held back by it again, and stand aside there (aside.lua): they come in turn with other groups.
-- Suspects stay where they are. No job waits for the turn of a job of its group that was set aside.
-- needs: meta, whole
-- rarely: paused_names, job_name, places, unhandled, news, head, gates_left, gate, blocked, aside

-- Of these jobs of paused names, those with traits leave the line, as far as their gates are concerned.
local function leave_line(ids, records)
  local leaving = {}
  for i = 1, #ids do
    if queue.has_traits(records[i]) then
      leaving[#leaving + 1] = { id = ids[i], record = records[i], from = 'waiting', to = 'waiting' }
    end
  end
  if #leaving > 0 then
    queue.leave_gates(leaving)
  end
end

-- Looks at the line from its head on, until it has met `needed` jobs that may be claimed.
function queue.set_aside_paused(needed)
  local PAGE, LOOKED_AT_MOST, DAY_MS = 64, 256, 86400000
  local others, looked, page, may_move = 0, 0, math.min(PAGE, needed), LOOKED_AT_MOST
  while others < needed and looked < LOOKED_AT_MOST and may_move > 0 do
    page = math.min(page, LOOKED_AT_MOST - looked, may_move)
    local ids = redis.call('ZRANGE', key.waiting, queue.whole(others), queue.whole(others + page - 1))
    if #ids == 0 then
      return
    end
    local places, records = queue.places_of(ids)
    local aside, aside_ids, aside_records, place_of, held = {}, {}, {}, {}, {}
    for i = 1, #ids do
      if records[i] and queue.is_paused_job(records[i]) then
        local at, name = #aside_ids + 1, queue.gate_of(records[i])
        local gate = name and queue.gate(name)
        if gate and not gate.is_order then
          held[#held + 1] = { gate = gate, id = ids[i], record = records[i], place = places[i], is_aside = true }
        else
          aside[#aside + 1] = { id = ids[i], name = queue.name_in(records[i]), after_ms = DAY_MS }
        end
        aside_ids[at], aside_records[at], place_of[ids[i]] = ids[i], records[i], places[i]
      else
        -- An id without a record is dropped by the claim.
        others = others + 1
      end
    end
    looked, page = looked + #ids, PAGE
    if #aside_ids > 0 then
      redis.call('ZREM', key.waiting, unpack(aside_ids))
      queue.hold(held)
      queue.count_aside(#held)
    end
    if #aside > 0 then
      queue.store_unhandled(aside, place_of)
      -- They are no news: no worker gets them before they are resumed.
      if queue.number(meta.unhandled) == 0 then
        queue.tell_of_unhandled()
      end
    end
    leave_line(aside_ids, aside_records)
    may_move = #held > 0 and queue.count_aside(0) or may_move
  end
end
