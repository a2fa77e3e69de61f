-- What a breaker (breaker.lua) counts: window is `<begin>:<calls>:<failures> ..`, oldest first, each span a tenth of the window long.
-- needs: arguments, whole

-- There are more than a dozen only while processes have different windows. Then the oldest ones become one.
local SPANS_MAX = 24

-- Adds calls that ended, and those of them that failed. Returns all calls and failures of the window.
function queue.count_in_breaker(it, calls, failures)
  local length = math.ceil(args.window_ms / 10)
  local spans, all, failed, texts = {}, 0, 0, {}
  for begin, of_calls, of_failures in string.gmatch(it.window, '(%d+):(%d+):(%d+)') do
    local span = { begin = tonumber(begin), calls = tonumber(of_calls), failures = tonumber(of_failures) }
    -- Another process may have a longer window; and the clock may have been set back.
    if span.begin > now_ms - it.longest_ms - math.ceil(it.longest_ms / 10) and span.begin <= now_ms then
      spans[#spans + 1] = span
    end
  end
  if calls > 0 then
    if #spans == 0 or spans[#spans].begin + length <= now_ms then
      spans[#spans + 1] = { begin = now_ms, calls = 0, failures = 0 }
    end
    local last = spans[#spans]
    last.calls, last.failures = last.calls + calls, last.failures + failures
  end
  if #spans > SPANS_MAX then
    local first = table.remove(spans, 1)
    spans[1] = { begin = first.begin, calls = first.calls + spans[1].calls, failures = first.failures + spans[1].failures }
  end
  for i, span in ipairs(spans) do
    if span.begin + length > now_ms - args.window_ms then
      all, failed = all + span.calls, failed + span.failures
    end
    texts[i] = queue.whole(span.begin) .. ':' .. queue.whole(span.calls) .. ':' .. queue.whole(span.failures)
  end
  it.window = table.concat(texts, ' ')
  return all, failed
end
