//! What workers say of themselves.

use super::{is_noticed, profile};

mutants! {
    a_dead_worker_is_never_dropped among REPORTS:
        "'ZRANGEBYSCORE', key.workers, '-inf', now_text" => "'ZRANGEBYSCORE', key.workers, '-inf', '-1'";
    a_worker_that_has_stopped_is_remembered among REPORTS:
        "if args.stops then\n  over[#over + 1] = args.worker" => "if false then\n  over[#over + 1] = args.worker";
    more_workers_are_remembered_than_may_be among REPORTS:
        "redis.call('ZCARD', key.workers) < args.most" => "true";
    a_worker_that_is_known_is_refused_when_there_are_many among REPORTS:
        "redis.call('ZSCORE', key.workers, args.worker) or" => "";
    a_dead_worker_is_shown among REPORTS:
        "(tonumber(until_ms[i]) or 0) > now_ms" => "until_ms[i]";
    a_report_that_is_repeated_is_counted_again among REPORTS:
        "tonumber(last) == args.number and '' or ARGV[3]" => "ARGV[3]";
    what_was_counted_before_in_a_minute_is_forgotten among REPORTS:
        "if tonumber(first) == minute then" => "if false then";
    what_was_counted_in_another_minute_is_counted_again among REPORT_DAYS:
        "if tonumber(first) == minute then" => "if first then";
    a_bucket_holds_what_came_last among REPORTS:
        "(buckets[bucket] or 0) + queue.number(jobs)" => "queue.number(jobs)";
    a_queue_in_which_nothing_happens_is_written_down_each_minute among REPORTS:
        "redis.call('HGET', key.history, 'last') == now" => "false";
    a_queue_in_which_something_happens_is_not_written_down among REPORTED:
        "redis.call('HGET', key.history, 'last') == now" => "true";
    a_worker_seems_to_run_since_its_last_report among REPORTS:
        "local since_ms = math.max(0, now_ms - args.age_ms)" => "local since_ms = now_ms";
}
