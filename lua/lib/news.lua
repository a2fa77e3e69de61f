-- meta.unhandled: 0 as long as no job waits for a worker that has a handler of its name. Otherwise a
-- number that is another one whenever there is news of such jobs, by which a worker knows
-- whether it has looked at them already. It is read with the rest of meta, so a queue whose
-- workers are all alike pays nothing.
function queue.tell_of_unhandled()
  local news = math.max(queue.number(meta.unhandled) + 1, now_us)
  queue.set_meta('unhandled', queue.whole(news))
end
