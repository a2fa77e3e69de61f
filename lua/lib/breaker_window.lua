-- What a breaker (breaker.lua) counts: window is `<span>:<calls>:<failures> ..`, each span a tenth of the window long, numbered since 1970. Ten spans count, and the one that has just begun.
-- needs: arguments, whole

-- Adds calls that ended, and those of them that failed. Returns all calls and failures of the window.
function queue.count_in_breaker(it, calls, failures)
  local this = math.floor(now_ms / math.ceil(args.window_ms / 10))
  local all, failed, spans, is_added = 0, 0, {}, calls == 0
  local function keep(span, of_calls, of_failures)
    all, failed = all + of_calls, failed + of_failures
    spans[#spans + 1] = queue.whole(span) .. ':' .. queue.whole(of_calls) .. ':' .. queue.whole(of_failures)
  end
  for span, of_calls, of_failures in string.gmatch(it.window, '(%d+):(%d+):(%d+)') do
    span, of_calls, of_failures = tonumber(span), tonumber(of_calls), tonumber(of_failures)
    if span == this and not is_added then
      of_calls, of_failures, is_added = of_calls + calls, of_failures + failures, true
    end
    if span >= this - 10 and span <= this then
      keep(span, of_calls, of_failures)
    end
  end
  if not is_added then
    keep(this, calls, failures)
  end
  it.window = table.concat(spans, ' ')
  return all, failed
end
