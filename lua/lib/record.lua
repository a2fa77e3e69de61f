-- The part of a job's record that scripts write and read stands in front: the version byte, the
-- time of enqueueing, the place it was given, and a space. What follows, MessagePack with
-- binary payloads, Redis cannot decode.
-- needs: stamp

-- What comes before the place; `external`: the payload lies in `payloads`; `traits`: the head has one (head.lua).
function queue.record_head(external, traits)
  local VERSION, WITH_TRAITS, EXTERNAL_PAYLOAD = 2, 3, 128
  local version = traits and WITH_TRAITS or VERSION
  return string.char(external and version + EXTERNAL_PAYLOAD or version) .. queue.stamp(now_ms)
end
