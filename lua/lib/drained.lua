-- Says that the last open job of the queue is gone: none waits, none is delayed, none is active. To be
-- called after jobs were taken out that had not ended. `advance` knows all this already, and says
-- it itself.
-- needs: lines, active, emit_value
function queue.say_if_drained()
  if redis.call('EXISTS', key.waiting, key.suspects, key.unhandled) == 0
    and queue.delayed_count() == 0 and queue.active_count() == 0 then
    queue.emit_value('drained', '')
  end
end
