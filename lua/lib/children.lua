-- Children: jobs for which another one, their parent, waits. A child names it in its head (head.lua): `parent` is
-- `<queue>/<id>/<number>`, the queue empty if it is this one, the number its position among the children, from 0; and `on_death`
-- says what its death means: `fail`, the parent dies, `go_on`, the parent goes on without it; without it the parent waits until
-- the child is replayed. Of a parent in another queue `/<route>` may stand behind the number: news for the parent go by way of
-- that queue (tell_far.lua).
--
-- What a parent knows of its children lies in `attempts`, and goes with whatever else is recorded of it (attempts.lua):
-- `<id>#children` holds how many there are, how many of these are open, and, if something is to be done then (callbacks.lua), how
-- many have neither ended nor died yet; `<id>#child<number>` is `<standing> <queue, or ~> <id>
-- <name> <ended, ms> <how it ended>`. The standing is `open`, `ended` (completed, cancelled, expired), `dead`, `removed`, or `refused`:
-- its queue could not add it, and why stands where others have how they ended. As long as
-- a parent has open children it is `blocked`, and not `blocked_by` a gate, like a successor (successor.lua). A child that is dead is
-- open still, unless its parent goes on without it.
-- rarely: optional

local function decoded(word)
  return word and string.gsub(word, '%%(%x%x)', function(digits)
    return string.char(tonumber(digits, 16))
  end) or nil
end

-- What a child says of its parent: its queue, its id, the number of the child, as text; and by way of which queue news for it go,
-- nil if they go straight there.
function queue.parent_in(value)
  local of_queue, word, number, route = string.match(value, '^([^/]*)/([^/]+)/(%d+)$')
  if not word then
    of_queue, word, number, route = string.match(value, '^([^/]+)/([^/]+)/(%d+)/([^/]+)$')
  end
  return decoded(of_queue), decoded(word), number, decoded(route)
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
