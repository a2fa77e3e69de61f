-- Children: jobs for which another one, their parent, waits. A child names it in its head (head.lua): `parent` is
-- `<queue>/<id>/<number>`, the queue empty if it is this one, the number its position among the children, from 0; and `on_death`
-- says what its death means: `fail`, the parent dies, `go_on`, the parent goes on without it; without it the parent waits until
-- the child is replayed.
--
-- What a parent knows of its children lies in `attempts`, and goes with whatever else is recorded of it (attempts.lua):
-- `<id>#children` holds how many there are, how many of these are open, and, if something is to be done then (callbacks.lua), how
-- many have neither ended nor died yet; `<id>#child<number>` is `<standing> <queue, or ~> <id>
-- <name> <ended, ms> <how it ended>`. The standing is `open`, `ended` (completed, cancelled, expired), `dead` or `removed`. As long as
-- a parent has open children it is `blocked`, and not `blocked_by` a gate, like a successor (successor.lua). A child that is dead is
-- open still, unless its parent goes on without it.
-- rarely: optional

-- What a child says of its parent: its queue, its id, the number of the child, as text.
function queue.parent_in(value)
  local of_queue, word, number = string.match(value, '^([^/]*)/([^/]+)/(%d+)$')
  local id = word and string.gsub(word, '%%(%x%x)', function(digits)
    return string.char(tonumber(digits, 16))
  end)
  return of_queue, id, number
end

-- The numbers in `<id>#children`; nil for those that are not there.
function queue.counts_in(stored)
  local total, open, left = string.match(stored or '', '^(%d+) (%d+) ?(%d*)$')
  return tonumber(total), tonumber(open), tonumber(left)
end

function queue.counts_text(total, open, left)
  return string.format(left and '%d %d %d' or '%d %d', total, open, left)
end

-- How many children a job has, and how many of them are open; nil if it has none.
function queue.children_of(id)
  return queue.counts_in(redis.call('HGET', key.attempts, id .. '#children'))
end

-- Whether a job that is blocked waits for its children.
function queue.waits_for_children(id)
  local _, open = nil, nil
  if queue.has(key.attempts) then
    _, open = queue.children_of(id)
  end
  return open ~= nil and open > 0
end
