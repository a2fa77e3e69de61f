-- The part of a job's record that scripts write and read stands in front: the version byte, the
-- time of enqueueing, the place it was given, and a space. What follows, MessagePack with
-- binary payloads, Redis cannot decode.
-- needs: stamp

-- What comes before the place; `external`: the payload lies in `payloads`.
function queue.record_head(external)
  local VERSION, EXTERNAL_PAYLOAD = 2, 128
  return string.char(external and VERSION + EXTERNAL_PAYLOAD or VERSION) .. queue.stamp(now_ms)
end
