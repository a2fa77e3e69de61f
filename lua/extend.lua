#!lua flags=allow-oom
-- Renews leases. args: lease_ms, receipts ({ receipt, how many in a row have it, .. }); the ids
-- are ARGV[2..]. Answers { 'extended', now_ms, positions (from 0) of the leases that are lost }.
-- O(n log N). Harmless when repeated.
-- needs: arguments, claims, held

local claims, receipts = redis.call('HMGET', key.claims, unpack(ARGV, 2)), queue.receipts()
local held, lost = {}, {}
for i = 1, #receipts do
  if claims[i] == receipts[i] then
    held[#held + 1] = ARGV[i + 1]
  else
    lost[#lost + 1] = i - 1
  end
end
queue.renew(held, args.lease_ms)
return { 'extended', now_ms, lost }
