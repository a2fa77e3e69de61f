-- For an event of the queue itself (paused, drained), or one whose value is a blob.
-- needs: emit
function queue.emit_value(kind, value)
  queue.emit(kind, { value })
end
