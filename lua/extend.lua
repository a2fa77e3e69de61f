#!lua flags=allow-oom
-- Renews leases. args: lease_ms, receipts ({ receipt, how many in a row have it, .. }); the ids
-- are ARGV[2..]. Answers { 'extended', now_ms, positions (from 0) of the leases that are lost }; and behind that, only if there
-- are any, { position, request, .. } of jobs that are to be cancelled (lib/requests.lua).
-- O(n log N). Harmless when repeated.
-- needs: arguments, claims, held
-- rarely: requests, lists

local claims, receipts = redis.call('HMGET', key.claims, unpack(ARGV, 2)), queue.receipts()
local held, positions, lost = {}, {}, {}
for i = 1, #receipts do
  if claims[i] == receipts[i] then
    held[#held + 1], positions[#held + 1] = ARGV[i + 1], i - 1
  else
    lost[#lost + 1] = i - 1
  end
end
queue.renew(held, args.lease_ms)
local answer, told = { 'extended', now_ms, lost }, {}
if #held > 0 and redis.call('EXISTS', key.attempts) == 1 then
  local requests = queue.read_requests(held)
  for i = 1, #held do
    if requests[i] then
      queue.append(told, positions[i], requests[i])
    end
  end
end
if #told > 0 then
  answer[#answer + 1] = told
end
return answer
