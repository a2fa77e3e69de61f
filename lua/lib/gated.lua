-- meta.gated: until when delayed jobs of groups are due. Calls that promote until then look for the groups of what they
-- promote (hold.lua).
-- needs: meta, whole
-- rarely: unset

-- A delayed job of a group is due at this moment: calls that promote until then look for the groups of what they promote.
function queue.expect_group(due_ms)
  if due_ms > queue.number(meta.gated) then
    queue.set_meta('gated', queue.whole(due_ms))
  end
end

-- Everything that is due until now was promoted.
function queue.expect_no_group()
  if meta.gated and queue.number(meta.gated) < now_ms then
    queue.unset_meta('gated')
  end
end
