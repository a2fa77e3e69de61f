-- ARGV[1] is a MessagePack map of named arguments; ids and opaque blobs follow as plain ARGV.
local args = cmsgpack.unpack(ARGV[1])

-- `count` plain arguments from ARGV[first] on, every `stride`-th of them.
local function plain_arguments(first, count, stride)
  local values = {}
  for i = 1, count do
    values[i] = ARGV[first + (i - 1) * stride]
  end
  return values
end
