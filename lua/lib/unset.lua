-- Deletes one of the queue's own numbers.
-- needs: meta
function queue.unset_meta(field)
  redis.call('HDEL', key.meta, field)
  meta[field] = false
  -- Earlier in this call it may have been set, to be written at the end.
  for i = #meta_changes - 1, 1, -2 do
    if meta_changes[i] == field then
      table.remove(meta_changes, i + 1)
      table.remove(meta_changes, i)
    end
  end
end
