-- ARGV[1] is a MessagePack map of named arguments; ids and opaque blobs follow as plain ARGV.
local args = cmsgpack.unpack(ARGV[1])
