-- Calls of an attempt, which show its receipt.
-- needs: arguments, count

-- Whether the caller does not hold the job any more, which is counted. args: id, receipt.
function queue.refuse()
  local is_held = redis.call('HGET', key.claims, args.id) == args.receipt
  if not is_held then
    queue.count('refused', 1)
  end
  return not is_held
end
