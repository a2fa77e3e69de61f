-- The leases of jobs that were claimed before: checking and dropping them.
-- needs: arguments

-- The receipts of a call, one for each of its jobs; args.receipts names each once, and how many
-- jobs in a row have it.
function queue.receipts()
  local receipts = {}
  for run = 1, #args.receipts, 2 do
    for _ = 1, args.receipts[run + 1] do
      receipts[#receipts + 1] = args.receipts[run]
    end
  end
  return receipts
end

function queue.unlease(ids)
  if #ids > 0 then
    redis.call('ZREM', key.active, unpack(ids))
    redis.call('HDEL', key.claims, unpack(ids))
  end
end
