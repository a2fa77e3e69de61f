-- Server time as a MessagePack uint64, so that a stored value is a sequence of MessagePack
-- values that starts with "when", and the blob that a client sent need not be decoded here.
function queue.stamp(ms)
  return struct.pack('>BI8', 0xcf, ms)
end
