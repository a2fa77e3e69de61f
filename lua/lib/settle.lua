-- Ends attempts: each with one outcome, and only while the job's claim is the same text as the receipt that the
-- caller shows. A stale receipt changes nothing and is counted.
--
-- args.settle: how many. Their ids are ARGV[2..], their blobs follow the ids. args.receipts:
-- { receipt, how many of them in a row have it, receipt, how many, .. }. args.others:
-- the outcomes of the last #args.others of them; the jobs before these are completed, and kept for as long as is set
-- for the queue. args.with_traits: how many of these, the last of them, have traits (head.lua), but for those before them, whose group
-- args.groups names (leaving.lua).
-- needs: arguments, claims, finish, emit, count
-- rarely: outcome
-- with all: leave, leaving

-- Returns the positions (from 0) that were refused; and { position, request, .. } of those that ended as cancelled because that
-- was asked for, although the caller says otherwise, or nil (cancelled.lua).
function queue.settle()
  local n, refused = args.settle, {}
  if n == 0 then
    return refused
  end
  local overruled
  local first_other = n - #args.others + 1
  local claims = redis.call('HMGET', key.claims, unpack(ARGV, 2, n + 1))
  local ended, completed, results, others, seen = {}, {}, {}, {}, {}
  local receipts = queue.receipts()
  for i = 1, n do
    local id = ARGV[i + 1]
    if claims[i] ~= receipts[i] or seen[id] then
      refused[#refused + 1] = i - 1
    else
      seen[id] = true
      local at = #ended + 1
      ended[at] = id
      if i < first_other then
        completed[at], results[at] = id, ARGV[n + 1 + i]
      else
        local other = args.others[i - first_other + 1]
        other.id, other.blob, other.receipt, other.position = id, ARGV[n + 1 + i], receipts[i], i - 1
        others[#others + 1] = other
      end
    end
  end
  queue.unlease(ended)
  local leaving = (args.with_traits or args.groups) and queue.completing(first_other, refused)
  queue.finish(completed, results)
  if #others > 0 then
    overruled = queue.settle_others(others, completed, leaving)
  elseif leaving then
    queue.leave(leaving)
  end
  queue.emit('completed', completed)
  queue.count('completed', #completed)
  queue.count('refused', #refused)
  return refused, overruled
end
