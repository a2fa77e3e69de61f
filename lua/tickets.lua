#!lua flags=allow-oom
-- Which of these payloads in a store a job still has. args: tickets (each: id of the job, name of the object), up to 256.
-- Answers { 'tickets', now_ms, how many of them, and the position (from 0) of each }. A ticket is short enough to lie in the record of its job: no
-- payload that lies apart is read. O(n).
-- It only reads, and says that it may write: a replica, which may not know the newest jobs, refuses it then (READONLY), as does a primary that has too few
-- replicas. What no job has is deleted.
-- needs: arguments

local ids = {}
for i, ticket in ipairs(args.tickets) do
  ids[i] = ticket[1]
end
local records = #ids > 0 and redis.call('HMGET', key.jobs, unpack(ids)) or {}
local answer = { 'tickets', now_ms, 0 }
for i, ticket in ipairs(args.tickets) do
  if records[i] and string.find(records[i], ticket[2], 1, true) then
    answer[3] = answer[3] + 1
    answer[#answer + 1] = i - 1
  end
end
return answer
