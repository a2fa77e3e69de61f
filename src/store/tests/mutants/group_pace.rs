//! Of the rates of groups, and of holds of groups.

use super::{is_noticed, profile};

mutants! {
    pace_the_rate_of_a_group_is_ignored among GATE_PACE:
        "return room > 0 and gate.is_paced and math.min(room, queue.free_of_group(gate)) or room" => "return room";
    pace_starts_from_the_line_are_not_counted among GATE_PACE:
        "queue.start_in(gate, 1)" => "gate.active = gate.active and gate.active + 1";
    pace_starts_are_not_stored among GATE_PACE:
        "if #paced > 0 then" => "if false then";
    pace_the_rate_of_all_groups_is_ignored among GATE_PACE:
        "return set_for(gate, 'rate') or meta.settings" => "return set_for(gate, 'rate') or false";
    pace_the_rate_of_one_group_is_ignored among GATE_PACE:
        "return set_for(gate, 'rate') or meta.settings" => "return meta.settings";
    pace_a_job_that_was_told_to_wait_holds_the_whole_queue among GATE_PACE:
        "if gate and not gate.is_order then\n        queue.hold_group" => "if false then\n        queue.hold_group";
    pace_a_hold_of_a_group_is_ignored among GATE_PACE:
        "if gate.held_ms > 0 then\n    return 0" => "if false then\n    return 0";
    pace_a_group_that_is_resumed_is_still_held among GATE_PACE:
        "if args.resume then\n    queue.end_group_hold(gate)" => "if args.resume then";
    pace_nobody_comes_back among GATE_PACE:
        "due_ms = math.min(due_ms or math.huge, queue.number(meta.paced))" => "";
    pace_a_group_whose_moment_has_come_does_not_go_on among GATE_PACE:
        "if opens and args.traits then" => "if false then";
    g8_a_log_of_a_group_that_says_nothing_stays among GATE_PACE:
        "local paced = has_paces and queue.look_at_paced(args.limit) or 0" => "local paced = 0";
    g8_a_group_of_which_nothing_is_remembered_is_looked_at_for_ever among GATE_PACE:
        "redis.call('ZREM', key.paced, unpack(gone))" => "";
}
