-- News of children (tell.lua) for a parent in another queue: a message of the kind `child` (receive_child.lua).
--
-- It must not be there before the parent is. Where a flow lies in several queues, all of its jobs were sent by one of them, a parent before
-- its children; so news go by way of that queue, the route: it puts them into its outbox behind the parent, and what it
-- sends to one queue keeps its order. However deep the flow is, there is one queue in between. A job that the route
-- itself runs has no route in its head: its news stand behind the parent as they are.
-- needs: message, outbox

-- news: as for `hear` (tell.lua).
function queue.tell_far(of_queue, route, news)
  local message = queue.message('child', {
    news.parent, news.number, news.id, news.to, news.on_death or '', news.at, news.outcome,
  })
  if route then
    of_queue, message = route, queue.message('forward', { of_queue, message })
  end
  queue.send(of_queue, message)
end
