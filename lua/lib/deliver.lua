-- Things beside the record that a worker needs; only few jobs have them: large payloads, failure
-- counters and stall counts, and whether a suspect runs alone. Appends to `reply`: position (from 0), name, value, ...
-- Behind these it says whether this call has put something into the outbox (outbox.lua): 0, 'outbox', ''.
-- needs: optional, meta
-- rarely: suspects
function queue.deliver(reply, ids, external)
  local function add(position, name, value)
    if value then
      local at = #reply
      reply[at + 1], reply[at + 2], reply[at + 3] = position - 1, name, value
    end
  end
  for _, position in ipairs(external) do
    add(position, 'payload', redis.call('HGET', key.payloads, ids[position]))
  end
  for name, part in pairs({ attempts = key.attempts, stalls = key.stalls }) do
    if #ids > 0 and queue.has(part) then
      local values = redis.call('HMGET', part, unpack(ids))
      for i = 1, #ids do
        add(i, name, values[i])
        if name == 'stalls' and values[i] and queue.must_be_alone(values[i]) then
          add(i, 'alone', '')
        end
      end
    end
  end
  if meta.has_sent then
    add(1, 'outbox', '')
  end
end
