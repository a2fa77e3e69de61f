//! Scripts broken on purpose: children that jobs add while they run.

use super::{is_noticed, profile};

mutants! {
    children_are_added_by_a_stale_attempt among SPAWN:
        "redis.call('HGET', key.claims, args.id) == args.receipt"
            => "redis.call('HGET', key.claims, args.id)";
    children_are_added_a_second_time among SPAWN:
        "if stored then\n  return { 'there', now_ms, stored }\nend\nlocal total, open, left" => "local total, open, left";
    children_get_numbers_that_others_have among SPAWN:
        "if (total or 0) ~= args.first then" => "if false then";
    children_are_added_in_part among SPAWN:
        "local root = options.of and 1 or not" => "local root = not";
    a_parent_does_not_know_its_new_children among SPAWN:
        "{}, { [options.of or ''] = true }" => "{}, {}";
    an_ended_child_of_a_step_does_not_count among SPAWN:
        "open = queue.whole(math.max(0, open - 1))" => "open = queue.whole(open)";
    a_step_is_over_one_child_too_early among SPAWN:
        "if has_ended and open == '0' or fails" => "if has_ended and tonumber(open) <= 1 or fails";
    a_step_that_is_over_wakes_nobody among SPAWN:
        "if #told > 0 then\n    queue.wake_parents(told)\n  end" => "";
    a_child_that_ended_before_the_attempt_is_overlooked among SPAWN:
        "return open == nil or tonumber(open) == 0 or failed ~= ''" => "return open == nil or failed ~= ''";
    the_death_of_a_child_does_not_end_the_wait among SPAWN:
        "  elseif fails and not at then\n    failed = failed .. ' ' .. number\n" => "";
    a_replayed_child_has_failed_for_ever among SPAWN_REPLAYED:
        "failed = at and string.sub(failed, 1, at - 1) .. string.sub(failed, at + #mark - 1) or failed" => "";
    a_child_of_a_step_lets_its_parent_go_as_one_of_a_flow_does among SPAWN:
        "queue.tell_step(parent, news.of_step, news.number, has_ended, fails, told)\n    return" => "queue.tell_step(parent, news.of_step, news.number, has_ended, fails, told)";
}
