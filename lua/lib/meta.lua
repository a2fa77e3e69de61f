-- The queue's own numbers: read together when the first is asked for, written together at the
-- end of the call. Totals are counted apart, in count.lua.
local META_FIELDS = { 'paused', 'sequence', 'front', 'fence', 'event_size', 'timer', 'tick' }

local meta
local meta_changes = {}

-- The value as text, or nil.
local function get_meta(field)
  if not meta then
    meta = {}
    local values = redis.call('HMGET', key_meta, unpack(META_FIELDS))
    for i = 1, #META_FIELDS do
      meta[META_FIELDS[i]] = values[i] or nil
    end
  end
  return meta[field]
end

local function set_meta(field, value)
  get_meta(field)
  meta[field] = value
  meta_changes[#meta_changes + 1] = field
  meta_changes[#meta_changes + 1] = value
end

local function save_meta()
  if #meta_changes > 0 then
    redis.call('HSET', key_meta, unpack(meta_changes))
    meta_changes = {}
  end
end

local function is_paused()
  return get_meta('paused') ~= nil
end
