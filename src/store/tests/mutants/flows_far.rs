//! Scripts broken on purpose: flows over several queues.

use super::{is_noticed, profile};

mutants! {
    news_go_past_the_route among FLOWS_FAR:
        "  if route then\n    of_queue, message = route" => "  if false then\n    of_queue, message = route";
    news_for_another_queue_are_taken_for_our_own among FLOWS_FAR:
        "  if of_queue == '' then\n    hear(news, dying, told)" => "  if true then\n    hear(news, dying, told)";
    news_that_come_twice_count_twice among FLOWS_FAR:
        "or id ~= news.id or (standing ~= 'open' and standing ~= 'dead') then" => "or id ~= news.id then";
    a_refused_child_is_forgotten among FLOWS_FAR:
        "queue.tell_refused(refused)" => "";
    a_parent_runs_without_a_refused_child among FLOWS_FAR:
        "is_refused and not goes_on and ' could not be added: ' .. news.outcome or fails" => "fails";
    a_child_that_is_there_is_refused among FLOWS_FAR:
        "if parent and not (is_this and not has_ended(id)) then" => "if parent then";
    a_child_that_has_ended_is_taken_for_one_that_tells among FLOWS_FAR:
        "is_this and not has_ended(id)" => "is_this";
    a_dead_child_is_taken_for_one_that_tells among FLOWS_FAR:
        " or redis.call('ZSCORE', key.dead, id)\nend" => "\nend";
    a_child_that_has_ended_is_expected_again among FLOWS_FAR:
        "if not known[i] then" => "if true then";
    a_dead_child_of_a_parent_elsewhere_is_dropped among FLOWS_FAR_CAPPED:
        "elseif of_queue ~= '' then\n    return true" => "elseif of_queue ~= '' then\n    return false";
    jobs_that_arrive_together_are_refused_together among FLOWS_FAR:
        "not options.apart and of_queue == ''" => "of_queue == ''";
    nobody_knows_that_parents_are_elsewhere among FLOWS_FAR:
        "queue.set_meta('far', '1')" => "";
    a_parent_that_dies_of_news_tells_nobody among FLOWS_FAR:
        "local told = queue.tell_parents(dying)" => "local told = {}";
    what_has_ended_is_told_again among FLOWS_FAR:
        "elseif job.from ~= 'completed' then" => "else";
}
