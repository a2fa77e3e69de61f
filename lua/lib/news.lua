-- meta.unhandled, the news of unhandled jobs: 0 as long as no job waits for a worker that has a handler
-- of its name. Otherwise a number that changes whenever there may be more such jobs. By the number
-- a worker knows whether it has looked at them already. It is read with the rest of meta, so a queue
-- whose workers all have the same handlers pays nothing.
-- needs: meta, whole
function queue.tell_of_unhandled()
  local news = math.max(queue.number(meta.unhandled) + 1, now_us)
  queue.set_meta('unhandled', queue.whole(news))
end
