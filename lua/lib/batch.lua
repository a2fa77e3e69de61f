-- Collects jobs that a script makes itself, to be added together. The records lie in Redis as
-- clients sent them.
-- rarely: add

function queue.new_batch()
  return { ids = {}, records = {}, payloads = {}, options = {}, external = {} }
end

-- `payload`: nil if it lies in the record. `options` as in add.lua.
function queue.add_to_batch(batch, id, record, payload, options)
  local n = #batch.ids + 1
  batch.ids[n], batch.records[n], batch.options[n] = id, record, options
  batch.options.traits = batch.options.traits or options.traits
  if payload then
    batch.payloads[#batch.payloads + 1] = payload
    batch.external[n] = #batch.payloads
  end
end

-- Returns what `add` does (add.lua).
function queue.add_batch(batch)
  if #batch.ids == 0 then
    return {}, 0
  end
  -- In the same order in which clients send them behind the arguments.
  local list = { '' }
  for _, part in ipairs({ batch.ids, batch.records, batch.payloads }) do
    for i = 1, #part do
      list[#list + 1] = part[i]
    end
  end
  return queue.add(list, #batch.ids, batch.options, batch.external, true)
end
