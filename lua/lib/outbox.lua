-- Messages to other queues. These lie in other slots, so no script writes to two queues. A script that changes this queue puts its
-- news for another one into the outbox in the same step, and a relay carries it: `outbox`, `receive` (there), `sent`.
--
-- `outbox` is a sorted set whose scores are all 0: target, 0 byte, position as 16 digits, 0 byte, message. So the messages for one
-- target stand together, in their order. Positions only grow, whatever the target: max(last + 1, server time in us). The time is in
-- it for the same reason as in fences: a replica that lost the last writes must not repeat a position when it is promoted, or the
-- receiver would take the new message for one that it has. The last position is `meta.sent`; of a queue that was deleted it stands in `sources`
-- under no name, for as long as these stay (delete.lua).
--
-- A message is its kind (receive.lua has all of them), a space, and texts, each behind its length (message.lua).
-- needs: meta, whole

-- Puts a message for `target` into the outbox; the target may be this queue. meta.has_sent: this call has done so.
function queue.send(target, message)
  queue.send_all({ target, message })
end

-- The same for a list of targets and messages, by turns.
function queue.send_all(list)
  local members = {}
  local sent = meta.sent or redis.call('HGET', key.meta, 'sent') or redis.call('HGET', key.sources, '')
  local last = queue.number(sent)
  for i = 1, #list, 2 do
    last = math.max(last + 1, now_us)
    members[i] = '0'
    members[i + 1] = list[i] .. '\0' .. queue.position_as_digits(last) .. '\0' .. list[i + 1]
  end
  redis.call('ZADD', key.outbox, unpack(members))
  queue.set_meta('sent', queue.whole(last))
  meta.has_sent = true
end

function queue.position_as_digits(position)
  return string.format('%016d', position)
end
