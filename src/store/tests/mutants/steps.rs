//! Scripts broken on purpose: durable steps.

use super::{is_noticed, profile};

mutants! {
    g2_no_receipt_check_for_a_step among STEPS:
        "local is_held = redis.call('HGET', key.claims, args.id) == args.receipt"
            => "local is_held = redis.call('HGET', key.claims, args.id)";
    a_step_that_is_stored_again_replaces_the_first among STEPS:
        "if stored and not goes_on and not (ends_wait and known.due_ms > 0 and known.due_ms <= now_ms) then" => "if false then";
    a_wait_is_over_before_its_time among STEPS:
        "ends_wait and known.due_ms > 0 and known.due_ms <= now_ms" => "ends_wait";
    a_wait_without_end_is_over among STEPS:
        "ends_wait and known.due_ms > 0 and known" => "ends_wait and known";
    a_wait_that_is_over_can_be_answered among STEPS:
        "wait.mark, step.due_ms = '!', known.due_ms" => "step.due_ms = known.due_ms";
    a_signal_does_not_wake_a_blocked_job among STEPS:
        "job.state == 'blocked' and '0' or job" => "job";
    a_signal_does_not_wake_a_delayed_job among STEPS:
        "local moment = job.state == 'blocked' and '0' or job.state == 'delayed' and queue.due_of(job.score)" => "local moment = job.state == 'blocked' and '0'";
    a_signal_wakes_a_job_that_waits_for_its_next_attempt among STEPS:
        "if aside == moment then" => "if aside == moment or job.state == 'delayed' then";
    a_signal_that_came_before_the_attempt_ended_is_overlooked among STEPS:
        "if not waits then" => "if not step then";
    a_job_sleeps_until_the_last_of_its_moments among STEPS:
        "first_ms == 0 and step.due_ms or math.min(" => "first_ms == 0 and step.due_ms or math.max(";
    a_second_value_replaces_the_first among STEPS:
        "if not step or wait.mark == '=' or step.kind ~= 'wait' then" => "if not step then";
    a_step_is_read_in_whole_that_is_to_be_cut among STEPS:
        "local sent = args.cut and string.sub(value, 1, args.cut) or value" => "local sent = value";
    a_step_is_as_long_as_what_is_sent_of_it among STEPS:
        "answer[#answer + 1] = #value" => "answer[#answer + 1] = #sent";
    g8_steps_are_left_behind_by_their_job among STEPS:
        "if #read > WITHOUT_STEPS then" => "if false then";
    a_job_is_told_twice_and_leaves_where_it_is_by_then among STEPS:
        "if aside ~= '-' then\n    queue.write_waits" => "if false then\n    queue.write_waits";
    an_edit_wakes_a_job_that_waits_to_be_told among STEPS_EDITED:
        "or is_untold and not goes_on or job" => "or job";
    a_job_that_was_edited_is_not_found_by_its_signal among STEPS_EDITED:
        "queue.write_waits(id, new.due_ms > 0 and queue.whole(new.due_ms) or '-', waits)" => "local _ = waits";
    a_job_that_waits_to_be_told_cannot_be_told_to_go_on among STEPS_EDITED:
        "local goes_on = is_untold and new.is_moved" => "local goes_on = false";
    a_job_that_has_steps_gets_another_payload among STEPS_UNIQUE:
        "return counters[STEPS] ~= nil" => "return false";
    g1_a_job_that_is_told_is_still_blocked among STEPS_GATED:
        "queue.take_out(id, part, record)\n  if part == key.delayed then" => "if part == key.delayed then";
    a_job_of_an_order_that_waits_lets_the_others_pass among STEPS_GATED:
        "rate_limited = 'waiting', untold = 'delayed' }" => "rate_limited = 'waiting', untold = 'ended' }";
    a_job_that_is_told_runs_beside_its_group among STEPS_GATED:
        "queue.emit('waiting', queue.enter_at_or_hold({ id }, places))\n  if not meta.paused then\n    local arm"
            => "queue.enter_at({ id }, places)\n  queue.emit('waiting', { id })\n  if not meta.paused then\n    local arm";
    a_job_that_waits_to_be_told_is_taken_for_lost among STEPS_LOST:
        "queue.is_successor(id, record) or queue.is_untold(id) or" => "queue.is_successor(id, record) or";
}
