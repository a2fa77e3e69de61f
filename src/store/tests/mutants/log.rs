//! Scripts broken on purpose: the log of a job.

use super::{is_noticed, profile};

mutants! {
    g2_no_receipt_check_for_a_log among LOGS:
        "redis.call('HGET', key.claims, args.id) == args.receipt" => "redis.call('HGET', key.claims, args.id)";
    g8_a_log_is_left_behind_by_its_job among LOGS:
        "if #read > WITHOUT_LOG then" => "if false then";
    a_line_that_is_sent_again_is_there_twice among LOGS:
        "fence == args.fence and math.max(0, tonumber(number) - args.first + 1) or 0" => "0";
    a_line_of_another_attempt_counts_as_this_one among LOGS:
        "local there = fence == args.fence and" => "local there = fence and";
    more_lines_are_kept_than_may_be among LOGS:
        "for n = queue.first_line(before), queue.first_line(logged) - 1 do" => "for n = 1, 0 do";
    a_line_seems_to_be_as_old_as_its_call among LOGS:
        "queue.whole(now_ms - args.ages_ms[i])" => "now_text";
    a_log_is_read_from_its_beginning_on among LOGS:
        "lines[i] and number > args.after" => "lines[i]";
    the_counters_of_a_job_are_lost_when_it_has_a_log among LOGS:
        "local counters = queue.read_counters(args.id)\nlocal before" => "local counters = { 0, 0, 0, 0 }\nlocal before";
}
