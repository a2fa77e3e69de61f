-- The jobs a repeated call claimed and that still carry its claim, with their fences. Their leases
-- begin anew: no attempt has begun.
-- needs: arguments, fitting, lists, held, whole
function queue.still_claimed(receipt, names)
  local first_fence, ids = tonumber(string.match(receipt, '^%d+')), queue.words(names)
  local held, held_records, fences = {}, {}, {}
  if #ids > 0 then
    local claims = redis.call('HMGET', key.claims, unpack(ids))
    local records = redis.call('HMGET', key.jobs, unpack(ids))
    for i = 1, #ids do
      if claims[i] == receipt and records[i] then
        held[#held + 1], held_records[#held + 1] = ids[i], records[i]
        fences[#fences + 1] = queue.whole(first_fence + i - 1)
      end
    end
    queue.renew(held, args.lease_ms)
  end
  local taken, records, external = queue.fitting(held, held_records, math.huge, 'again')
  return {
    ids = taken, records = records, external = external, suspects = 0,
    first_fence = first_fence, receipt = receipt,
  }, fences
end

-- The first answer to a call that is repeated, without jobs that the caller does not hold any more.
-- Returns the refused positions, what was
-- claimed, and its fences.
function queue.answer_again(answer)
  local positions, receipt, names = string.match(answer, '^(.-)\n(.-)\n(.*)$')
  return queue.words(positions), queue.still_claimed(receipt, names)
end
