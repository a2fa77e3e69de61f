#!lua flags=no-writes
-- All that a queue holds, key by key: of a stream its length and its last entries, youngest
-- first, each as `name=value name=value `. The first letter of each key's type comes before it. One string of lengths and bytes: taking apart an
-- answer of a thousand values would take longer than all the rest of a test.
local LAST_ENTRIES = 6

local function entries(key)
  local texts = { tostring(redis.call('XLEN', key)) }
  for _, entry in ipairs(redis.call('XREVRANGE', key, '+', '-', 'COUNT', LAST_ENTRIES)) do
    local text = {}
    for i = 1, #entry[2], 2 do
      text[#text + 1] = entry[2][i] .. '=' .. entry[2][i + 1] .. ' '
    end
    texts[#texts + 1] = table.concat(text)
  end
  return texts
end

local function read(key, kind)
  if kind == 'hash' then
    return redis.call('HGETALL', key)
  elseif kind == 'zset' then
    return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'stream' then
    return entries(key)
  end
  return {}
end

local all = {}
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  local texts = read(key, kind)
  all[#all + 1] = string.sub(kind, 1, 1) .. struct.pack('>I4', #texts)
  for _, text in ipairs(texts) do
    all[#all + 1] = struct.pack('>I4', #text) .. text
  end
end
return table.concat(all)
