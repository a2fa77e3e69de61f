-- The jobs that a call carries as `enqueue` does (enqueue.lua): ids, records and payloads behind the arguments, and args.jobs, args.options,
-- args.external.
-- needs: arguments

-- All jobs of the call but the first `skipped`: a list, how many they are, their options, and which have their payload apart, as add.lua takes them.
function queue.jobs_of_call(skipped)
  local list, options, external, first_payload = { '' }, {}, {}, 1
  local n = args.jobs - skipped
  for i = 2, #args.options, 2 do
    local at = args.options[i - 1] - skipped
    if at > 0 then
      options[at] = args.options[i]
      options.traits = options.traits or options[at].traits
    end
  end
  for k, position in ipairs(args.external) do
    if position > skipped then
      external[position - skipped] = k - first_payload + 1
    else
      first_payload = k + 1
    end
  end
  for i = 1, n do
    list[i + 1], list[n + i + 1] = ARGV[skipped + i + 1], ARGV[args.jobs + skipped + i + 1]
  end
  for k = first_payload, #args.external do
    list[#list + 1] = ARGV[2 * args.jobs + k + 1]
  end
  return list, n, options, external
end
