-- Renews leases. args: lease_ms, receipts ({ receipt, how many in a row have it, .. }); the ids
-- are ARGV[2..]. Answers { 'extended', now_ms, positions (from 0) of the leases that are lost }.
-- O(n log N). Harmless when repeated.

local claims = redis.call('HMGET', key.claims, unpack(ARGV, 2))
local held, lost = {}, {}
local i = 0
for run = 1, #args.receipts, 2 do
  for _ = 1, args.receipts[run + 1] do
    i = i + 1
    if claims[i] == args.receipts[run] then
      held[#held + 1] = ARGV[i + 1]
    else
      lost[#lost + 1] = i - 1
    end
  end
end
queue.renew(held, args.lease_ms)
return { 'extended', now_ms, lost }
