-- Dead children that hold up their parents (children.lua).
-- needs: head, children, child_fields

-- Whether a dead job holds up its parent, which waits for it; if that is in another queue, it may.
function queue.holds_its_parent(id, record)
  local of_queue, parent, number = queue.parent_in(queue.field_of(record, 'parent') or '')
  if not parent or queue.field_of(record, 'on_death') == 'go_on' then
    return false
  elseif of_queue ~= '' then
    return true
  end
  -- A job that waits for children it has added may do something else first.
  local of_step = queue.field_of(record, 'of_step')
  local waits = redis.call('ZSCORE', key.blocked, parent) or of_step and redis.call('ZSCORE', key.delayed, parent)
  if not waits then
    return false
  end
  local known = redis.call('HGET', key.attempts, queue.child_field(parent, number)) or ''
  return string.match(known, '^dead %S+ (%S+) ') == id
end
