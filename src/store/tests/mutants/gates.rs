//! Of gates: groups, orders, and what becomes of them when something is lost.

use super::{is_noticed, profile};

mutants! {
    an_ordered_job_loses_its_place_when_it_is_edited among GATES_EDITED:
        "if new.keeps_order and" => "if false and";
    an_ordered_job_that_is_blocked_gets_in_line_when_it_is_edited among GATES_EDITED:
        "if job.state == 'blocked' and not is_untold then\n    redis.call('ZADD', key.blocked, queue.whole(new.due_ms), job.id)\n    return\n  end" => "";
    the_priority_of_an_ordered_job_is_edited among GATES_EDITED:
        "if new.priority ~= known_priority and queue.field_of(record, 'order') then" => "if false then";
    a_job_of_a_group_that_is_put_off_is_not_expected among GATES_EDITED:
        "if not is_placed and queue.gate_of(record) then" => "if false then";
    a_group_may_have_as_many_as_it_likes among GATES:
        "passes = queue.room_in(gate) > 0\n        if gate.turn" => "passes = true\n        if gate.turn";
    a_claim_that_goes_on_takes_more_of_a_group_than_it_may_have among GATES:
        "local most = math.min(share, queue.room_in(gate))" => "local most = share";
    a_slot_of_a_group_is_not_given_back among GATES:
        "queue.stop_running(stopping)" => "";
    a_slot_of_a_dead_worker_is_not_given_back among GATES:
        "if #leaving > 0 then\n  queue.leave(leaving)\nend\nif not meta.paused" => "if not meta.paused";
    the_next_of_a_group_does_not_get_in_line among GATES:
        "queue.admit(groups, not is_line_left) or" => "";
    an_urgent_job_waits_for_the_turn_of_its_group among GATES:
        "or not has_turn or queue.priority_at(place) < queue.priority_at(gate.place)" => "or not has_turn";
    g7_due_jobs_of_a_group_fill_the_line among GATES:
        "if meta.gated then\n      in_line" => "if false then\n      in_line";
    a_group_that_may_go_on_does_not among GATES:
        "  queue.admit({ gate })\n  queue.flush_events()" => "  queue.flush_events()";
    g7_two_of_an_order_run_at_a_time among GATES:
        "passes = gate.turn == id or not has_turn\n      else" => "passes = true\n      else";
    g7_a_job_passes_one_that_is_tried_again among GATES:
        "job.to ~= 'waiting' and (job.to ~= 'delayed' or on_failure == 'pass')" => "job.to ~= 'waiting'";
    g7_an_order_goes_by_priority among GATES:
        "if gate.is_order then\n    place = (" => "if false then\n    place = (";
    a_dead_job_holds_its_order_back_for_ever among GATES:
        "elseif job.to ~= 'waiting' and (" => "elseif job.to ~= 'dead' and job.to ~= 'waiting' and (";
    a_dead_job_halts_nothing among GATES:
        "gate.halted, gate.is_changed = job.to == 'dead' and on_failure == 'halt', true" => "gate.halted = false";
    a_cancelled_job_holds_others_back among GATES:
        "if #leaving > 0 then\n    queue.leave(leaving)\n  end\n  queue.forget_expiry(cancelled)" => "queue.forget_expiry(cancelled)";
    a_removed_job_holds_others_back among GATES:
        "if #leaving > 0 then\n  queue.leave(leaving)\nend\nqueue.forget_expiry(removed)" => "queue.forget_expiry(removed)";
    g8_a_removed_job_is_left_among_those_of_its_gate among GATES:
        "if redis.call('ZREM', key.blocked_by, member) == 0 then\n      queue.leave_aside(member, record)\n    end" => "";
    g8_a_gate_that_nothing_needs_is_kept among GATES:
        "redis.call('HDEL', key.gates, unpack(gone))" => "";
    a_job_that_starts_takes_no_slot_of_its_group among GATES:
        "starting[#starting + 1], starting[#starting + 2] = queue.number_of_gate(gate), id" => "";
    a_suspect_takes_the_turn_of_its_group among GATE_SUSPECTS:
        "if not is_suspect then\n      queue.set_turn(gate, id)" => "if true then\n      queue.set_turn(gate, id)";
    a_suspect_that_gets_in_line_takes_the_turn_of_its_group among GATE_SUSPECTS:
        "if passes and not is_suspect then\n        queue.set_turn" => "if passes then\n        queue.set_turn";
    the_job_behind_a_suspect_is_not_tried among GATE_SUSPECTS:
        "while #open > 0 and suspects < SUSPECTS_AT_MOST do" => "while #open > 0 and suspects < 1 do";
    a_new_job_overtakes_those_that_its_group_holds_back among GATE_LIMITS:
        "and (open[gate] or queue.holds_any(gate)) then" => "and false then";
    a_new_job_is_held_back_and_nobody_is_let_in among GATE_LIMITS:
        "queue.emit('delayed', tokens)\n  if #open > 0 then" => "queue.emit('delayed', tokens)\n  if false then";
    a_raised_limit_is_not_noticed_by_those_that_wait among GATE_ROUNDS:
        "queue.tend_gates(args.limit)" => "";
    a_round_of_all_gates_begins_anew_with_each_call among GATE_ROUNDS:
        "queue.set_meta('tended', name)" => "";
    a_job_with_a_gate_without_a_list_passes_its_gate among LOST_GATES:
        "return gate and gate.turn ~= id" => "return false";
    a_delayed_job_of_a_group_without_a_list_goes_to_the_front among LOST_GATES:
        "queue.give_lost_places(ids, places, successors)" => "";
    a_completed_job_of_a_call_keeps_its_slot among GATES:
        "for i = first_other - n, first_other - 1 do" => "for i = first_other - n + 1, first_other - 1 do";
    a_completed_job_of_a_group_keeps_its_slot among GATES:
        "unpack(ARGV, position + 2, position + group[2] + 1)" => "unpack(ARGV, position + 3, position + group[2] + 1)";
    completed_jobs_of_two_groups_are_taken_for_those_of_one among GATES:
        "position = position + group[2]\n    if" => "if";
    jobs_of_a_group_that_is_alone_stay_blocked among GATES:
        "redis.call('ZREMRANGEBYLEX', key.blocked, '[' .. ids[1], '[' .. last)" => "";
    the_next_of_a_group_passes_those_in_line among GATES:
        "if #ids == 1 and is_line_empty and own_place" => "if #ids == 1 and own_place";
    a_job_that_was_refused_is_taken_for_one_that_completed among GATES:
        "is_refused[position + 1] = true" => "";
    a_gate_that_has_changed_is_not_saved among GATES:
        "if gate.is_changed and gate.turn then" => "if false then";
    calls_look_for_blocked_jobs_for_ever among GATES:
        "if meta.blocked and redis.call('EXISTS', key.blocked) == 0 then" => "if false then";
}
