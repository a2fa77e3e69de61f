-- Renews leases. args: lease_ms, fences; the ids are ARGV[2..]. Answers the time and the
-- positions (from 0) of the leases that are lost. O(n log N). Harmless when repeated.

local n = #args.fences
local ids = plain_arguments(2, n, 1)
local claims = read_claims(ids)
local deadlines, lost = {}, {}
for i = 1, n do
  if claims[i] and unpack_claim(claims[i]) == args.fences[i] then
    deadlines[#deadlines + 1] = now_ms + args.lease_ms
    deadlines[#deadlines + 1] = ids[i]
  else
    lost[#lost + 1] = i - 1
  end
end
if #deadlines > 0 then
  redis.call('ZADD', key_active, unpack(deadlines))
end
return { 'extended', now_ms, lost }
