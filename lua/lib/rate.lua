-- How many jobs of the queue may start in a period, if that is limited. What has started (started.lua) is read only if a rate is
-- set, and written only by calls that start jobs.
-- needs: meta, window
-- rarely: head

-- What is known in this call: nil if it was not looked at yet, false if there is no such limit.
local window
local too_heavy -- the weight of the job at which the claim stopped

local function look()
  if window == nil then
    local rate = string.match(meta.settings or '', '^1 %d+.- limit_rate=(%d+/%d+/%l+)')
    window = rate and queue.window_of(rate, redis.call('HGET', key.meta, 'started') or '') or false
  end
  return window
end

-- How many jobs of weight 1 may start now; nil if that is not limited.
function queue.free_starts()
  return look() and queue.free_in(window) or nil
end

-- When a job of this weight may start: now, or earlier, if it may; nil if that is not limited. Without a weight: the job at
-- which the claim stopped.
function queue.opens_at(weight)
  return look() and queue.opens_in(window, weight or too_heavy or 1) or nil
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
  local text = look() and queue.text_of_window(window)
  if text then
    queue.set_meta('started', text)
  end
end

-- Drops the log when it says nothing any more.
function queue.forget_started()
  if not look() or #window.log == 0 then
    redis.call('HDEL', key.meta, 'started')
  end
end
