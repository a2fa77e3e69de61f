//! Scripts broken on purpose: alerts.

use super::{is_noticed, profile};

mutants! {
    two_processes_have_a_round_at_a_time among ALERTS:
        "if until_ms > now_ms and until_ms <= now_ms + args.every_ms then" => "if false then";
    a_round_lasts_for_as_long_as_the_clock_was_set_back among ALERTS:
        "if until_ms > now_ms and until_ms <= now_ms + args.every_ms then" => "if until_ms > now_ms then";
    a_round_has_the_number_of_another among ALERTS:
        "queue.keep_round(number + 1, args.every_ms)" => "queue.keep_round(number, args.every_ms)";
    what_was_judged_in_another_round_is_stored among ALERTS:
        "if args.round and queue.last_round() ~= args.round then" => "if false then";
    a_round_ends_while_its_process_judges among ALERTS:
        "if args.round then\n  queue.keep_round" => "if false then\n  queue.keep_round";
    an_alert_that_has_changed_is_replaced among ALERTS:
        "(there[i] or '') == seen and 1 or 0" => "1";
    an_alert_that_has_changed_is_told among ALERTS:
        "if verdicts[alert] == 1 then" => "if true then";
    an_alert_is_told_that_is_not_stored among ALERTS:
        "if #stored > 0 then" => "if false then";
    an_alert_that_is_gone_is_kept among ALERTS:
        "if #dropped > 0 then" => "if false then";
    an_alert_is_told_out_of_its_order among ALERTS:
        "{ traits = queue.has_sent_traits(record) }" => "{}";
    all_alerts_are_found_instead_of_one among ALERTS:
        "if args.name then" => "if false then";
    a_job_tells_of_another_alert among ALERTS:
        "local record = ARGV[1 + 3 * n + i]" => "local record = ARGV[2 + 3 * n]";
}
