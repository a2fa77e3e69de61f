-- Renews leases. args: lease_ms, fences; the ids are ARGV[2..]. Answers
-- { 'extended', now_ms, positions (from 0) of the leases that are lost }. O(n log N). Harmless when repeated.

local n = #args.fences
local ids = plain_arguments(2, n, 1)
local claims = read_claims(ids)
local held, lost = {}, {}
for i = 1, n do
  if claims[i] and unpack_claim(claims[i]) == args.fences[i] then
    held[#held + 1] = ids[i]
  else
    lost[#lost + 1] = i - 1
  end
end
renew(held, args.lease_ms)
return { 'extended', now_ms, lost }
