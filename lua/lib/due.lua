-- meta.due: when the next delayed job is due. It is never later than that; it may be earlier after
-- a call that reached its limit of promoted jobs. It is read with the rest of meta, so a call that
-- makes a job ready knows whether others are due before it.
-- needs: meta, whole
-- rarely: delayed

-- The moment the next delayed job is due, or nil.
function queue.next_due()
  if meta.due then
    return queue.number(meta.due)
  end
  -- Even if meta is lost, no delayed job is forgotten.
  if redis.call('EXISTS', key.delayed) == 1 then
    return queue.look_for_due()
  end
  return nil
end
