//! Scripts broken on purpose: flows.

use super::{is_noticed, profile};

mutants! {
    a_child_that_is_told_of_twice_counts_twice among FLOWS:
        "or id ~= news.id or (standing ~= 'open' and standing ~= 'dead') then" => "or id ~= news.id then";
    a_removed_child_leaves_its_parent_stuck among FLOWS:
        "dead = 'dead', removed = 'removed', refused = 'refused' }" => "dead = 'dead', refused = 'refused' }";
    the_output_of_a_child_is_lost among FLOWS:
        "news.at .. ' ' .. news.outcome" => "news.at .. ' '";
    a_parent_goes_on_one_child_too_early among FLOWS:
        "if has_ended and open == 0 then\n    queue.let_parent_go" => "if has_ended and open <= 1 then\n    queue.let_parent_go";
    a_dead_child_that_is_to_hold_its_parent_lets_it_go among FLOWS:
        "was_open and not (is_dead and not goes_on), is_dead" => "was_open, is_dead";
    a_replayed_child_counts_twice among FLOWS:
        "local was_open = standing == 'open' or not goes_on" => "local was_open = true";
    a_replayed_parent_does_not_wait_for_its_children among FLOWS_POISON:
        "queue.counted_children(counters) > 0 and queue.waits_for_children(id)" => "false";
    news_of_another_job_count among FLOWS_REMOVED:
        "if not total or id ~= news.id or" => "if not total or not id or";
    a_flow_is_added_in_part among FLOWS:
        "queue.meet_flow(flows[i], list, n, known, seen, first, met)" => "";
    the_death_of_a_parent_is_not_told among FLOWS:
        "dying[#dying + 1] = died" => "";
    what_a_parent_knows_is_left_behind among FLOWS:
        "queue.child_fields(fields, ids[i], read)" => "";
    a_parent_gets_in_line_when_it_is_edited among FLOWS_TENDED:
        "or job.state == 'blocked' and queue.waits_for_children(id) then" => "then";
    a_dead_child_is_dropped_and_its_parent_goes_on among FLOWS_TENDED:
        "or queue.holds_its_parent(id, record))" => ")";
    a_dead_child_is_dropped_and_nobody_is_told among FLOWS_POISON:
        "queue.wake_parents(queue.tell_parents(leaving))" => "";
    a_lost_parent_gets_in_line among FLOWS_TENDED:
        "successors[id] = not runs and not has_ended and queue.waits_for_children(id) or nil" => "";
    a_callback_for_a_dead_child_is_added_at_its_end among FLOWS_CALLING:
        "if is_dead then\n    send(parent, 'on_failure')\n  end" => "send(parent, 'on_failure')";
    a_callback_is_added_again among FLOWS_CALLING:
        "redis.call('HDEL', key.attempts, field)\n    queue.send(target" => "queue.send(target";
    a_callback_for_the_last_child_comes_too_early among FLOWS_CALLING:
        "if left == 1 then\n    send" => "if left <= 2 then\n    send";
    a_child_that_dies_twice_counts_twice_for_a_callback among FLOWS_CALLING:
        "is_first = news.to == 'refused', left and standing == 'open'" => "is_first = news.to == 'refused', left";
    callbacks_are_left_behind_by_their_job among FLOWS_CALLING:
        "fields[#fields + 1] = id .. '#on_complete'" => "";
    a_callback_for_a_failure_is_left_behind among FLOWS_CALLING:
        "fields[#fields + 1] = id .. '#on_failure'" => "";
    what_is_left_for_a_callback_is_not_written among FLOWS_CALLING:
        "if has_ended or is_first then" => "if has_ended then";
    a_parent_is_taken_for_lost among FLOWS_TENDED:
        "or queue.is_untold(id) or queue.waits_for_children(id) then" => "or queue.is_untold(id) then";
}
