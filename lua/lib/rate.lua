-- How many jobs may start in a period, if that is limited. The rule stands in src/policy/limits.rs, with the reason why no
-- window has more starts than are allowed; this is the same rule. What has started (started.lua) is read only if a rate is
-- set, and written only by calls that start jobs.
-- needs: started, window
-- rarely: head

-- What is known in this call: nil if it was not looked at yet, false if there is no such limit.
local window
local too_heavy -- the weight of the job at which the claim stopped

local function look()
  if window == nil then
    window = queue.read_window()
  end
  return window
end

-- When the next unit may start, behind those that this call has started.
local function next_ms()
  return window.next_ms + window.started * window.gap_ms
end

-- How many jobs of weight 1 may start now; nil if that is not limited.
function queue.free_starts()
  if not look() then
    return nil
  end
  local left = math.max(0, window.most - window.logged - window.started)
  if not window.next_ms then
    return left
  end
  local behind_ms = now_ms - next_ms()
  return behind_ms < 0 and 0 or math.min(left, math.floor(behind_ms / window.gap_ms) + 1)
end

-- When a job of this weight may start: now, or earlier, if it may; nil if that is not limited. Without a weight: the job at
-- which the claim stopped.
function queue.opens_at(weight)
  if not look() then
    return nil
  end
  local units = math.min(weight or too_heavy or 1, window.most)
  local over = window.logged + window.started + units - window.most
  local at_ms = window.next_ms and math.ceil(next_ms()) or 0
  for _, entry in ipairs(window.log) do
    if over <= 0 then
      return at_ms
    end
    over = over - entry.units
    at_ms = math.max(at_ms, entry.last_ms + window.window_ms)
  end
  return over > 0 and math.max(at_ms, now_ms + window.window_ms) or at_ms
end

local function weight_of(record)
  return math.max(1, tonumber(string.match(queue.field_of(record, 'weight') or '', '^%d+$')) or 1)
end

-- Whether the job with this record may start; if so, it counts as started. A job that weighs more than may start in a
-- period takes all of it.
function queue.may_start(record)
  if not look() then
    return true
  end
  local weight = weight_of(record)
  if queue.opens_at(weight) > now_ms then
    too_heavy = weight
    return false
  end
  too_heavy = nil
  window.started = window.started + math.min(weight, window.most)
  return true
end

-- Whether the claim stopped at a job that may not start yet. The jobs behind it wait for it.
function queue.waits_for_heavy_job()
  return too_heavy ~= nil
end

-- The job with this record counted as started, and its gate held it back.
function queue.take_back_start(record)
  if look() then
    window.started = window.started - math.min(weight_of(record), window.most)
  end
end

-- Stores what this call has started; and what counts as of now because the clock was set back.
function queue.save_started()
  if not look() or window.started == 0 and not window.is_set_back then
    return
  end
  local next_text = window.next_ms and string.format('%.3f', next_ms()) or '0'
  window.next_ms = window.next_ms and tonumber(next_text)
  if window.started > 0 then
    queue.note_starts(window, now_ms, now_ms, window.started)
  end
  window.started, window.is_set_back = 0, false
  queue.write_started(window, next_text)
end

-- Drops the log when it says nothing any more.
function queue.forget_started()
  if not look() or #window.log == 0 then
    redis.call('HDEL', key.meta, 'started')
  end
end
