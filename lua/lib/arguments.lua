-- ARGV[1] is a MessagePack map of named arguments; ids and opaque blobs follow as plain ARGV.
-- shares: args
local args = cmsgpack.unpack(ARGV[1])
