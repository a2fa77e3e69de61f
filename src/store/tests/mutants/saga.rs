//! Scripts broken on purpose: sagas.

use super::{is_noticed, profile};

mutants! {
    g2_no_receipt_check_for_the_undoing_of_a_saga among SAGAS:
        "if queue.refuse() then\n  return { 'lost', now_ms }\nend\nlocal requests, sagas"
            => "local requests, sagas";
    a_saga_ends_as_cancelled_and_nothing_is_undone among SAGAS:
        "if saga and (state == 'waiting' or state == 'blocked' or state == 'delayed') then" => "if false then";
    a_saga_that_runs_is_cancelled_and_nothing_is_undone among SAGAS:
        "elseif request and not saga and other.outcome ~= 'completed' then" => "elseif request and other.outcome ~= 'completed' then";
    a_saga_is_dead_because_its_worker_says_so among SAGAS:
        "(request and other.outcome ~= 'completed' or ends) then" => "(request and other.outcome ~= 'completed') then";
    a_saga_whose_worker_died_ends_because_that_was_asked_for among SAGAS_ASKED:
        "if requests[i] and not saga then" => "if requests[i] then";
    a_saga_may_not_stall_while_it_is_undone among SAGAS_STALLED:
        "local most = saga and 2 * max_stalls + 1 or max_stalls" => "local most = max_stalls";
    a_later_reason_to_undo_replaces_the_first among SAGAS:
        "if state and not queue.goes_forward(state) then" => "if false then";
    a_saga_is_undone_with_the_attempts_that_are_left among SAGAS:
        "function queue.renew_attempts(counters)\n  counters[1] = 0" => "function queue.renew_attempts(counters)";
    a_saga_that_has_begun_is_not_known_as_one among SAGAS:
        "redis.call('HSETNX', key.attempts, queue.undo_field(id), OWED)" => "";
    a_step_that_has_begun_cannot_end among SAGAS:
        "local goes_on = known and known.name == step.name and queue.follows(known.kind, step.kind)" => "local goes_on = false";
    a_saga_that_is_delayed_is_undone_later among SAGAS:
        "if state == 'delayed' or state == 'blocked' and queue.is_untold(id) then" => "if false then";
    an_undo_is_left_out_of_a_saga_that_is_not_stuck among SAGAS:
        "if state ~= 'dead' then\n  return { 'state'" => "if false then\n  return { 'state'";
    g8_a_saga_leaves_its_mark_behind among SAGAS:
        "fields[#fields + 1] = id .. '#undo'" => "";
}
