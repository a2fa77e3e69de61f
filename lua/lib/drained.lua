-- Emits `drained` if no open job is left: none waits, none is delayed, none is active. Call it
-- after taking out jobs that had not ended. `advance` knows all this already, and emits the event
-- itself.
-- needs: lines, active, emit_value
function queue.say_if_drained()
  if redis.call('EXISTS', key.waiting, key.suspects, key.unhandled, key.blocked) == 0
    and queue.delayed_count() == 0 and queue.active_count() == 0 then
    queue.emit_value('drained', '')
  end
end
