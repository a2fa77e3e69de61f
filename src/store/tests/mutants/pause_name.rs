//! Scripts broken on purpose: names that are paused.

use super::{is_noticed, profile};

mutants! {
    a_paused_job_stays_in_line among NAMED:
        "queue.set_aside_paused(limit)" => "";
    a_plain_call_claims_paused_jobs among NAMED:
        "(meta.paused_names or opens or" => "(opens or";
    a_worker_does_not_learn_that_names_are_paused among NAMED:
        "claimed.meets_traits or is_too_plain or meta.paused_names" => "claimed.meets_traits or is_too_plain";
    a_claim_does_not_stop_in_front_of_a_paused_job among NAMED_LIMITS:
        "if meta.paused_names and how ~= 'again' and" => "if false and";
    a_claim_that_is_repeated_stops_in_front_of_a_paused_job among NAMED:
        "how ~= 'again' and queue.is_paused_job(record)" => "queue.is_paused_job(record)";
    a_paused_job_is_offered among NAMED:
        "meta.paused_names and queue.not_paused(args.handlers) or args.handlers" => "args.handlers";
    a_paused_job_grows_too_old among NAMED:
        "asked_ms = now_ms" => "";
    a_group_waits_for_its_paused_job among NAMED:
        "leave_line(aside_ids, aside_records)" => "";
    a_job_that_was_set_aside_is_no_waiting_job_that_is_known among NAMED:
        "if queue.number(meta.unhandled) == 0 then\n        queue.tell_of_unhandled()" => "if false then\n        queue.tell_of_unhandled()";
    resuming_a_name_is_no_news among NAMED:
        "if queue.number(meta.unhandled) > 0 then\n    queue.tell_of_unhandled()\n  end\n  if meta.blocked then" => "if meta.blocked then";
    resuming_a_name_wakes_nobody among NAMED:
        "if not meta.paused then\n    queue.arm(0)\n  end\nend\nif changed then" => "end\nif changed then";
    a_paused_suspect_runs among NAMED_SUSPECTS:
        "meta.paused_names and first_not_paused(limit)\n    or redis" => "redis";
    suspects_wait_while_names_are_paused among NAMED_SUSPECTS:
        "or meta.paused_names and not args.traits and suspects > 0 and args.suspect > 0" => "";
    a_group_does_not_pass_its_paused_jobs among NAMED:
        "if meta.paused_names and #read.ids > 0 then" => "if false then";
    an_order_passes_its_paused_jobs among NAMED:
        "not page.gates[i].is_order and #from < left" => "#from < left";
    a_removed_job_is_left_where_it_is_aside among NAMED_GROUPS:
        "queue.leave_aside(member, record)" => "";
    nobody_takes_back_what_is_aside among NAMED_GROUPS:
        "queue.expect_back(args.name)" => "";
    a_resumed_name_is_tried_for_ever among NAMED_GROUPS:
        "redis.call('ZREM', key.paced, unpack(done))" => "";
    a_group_whose_jobs_are_taken_back_does_not_go_on among NAMED_GROUPS:
        "for _, name in ipairs(free) do" => "for _, name in ipairs({}) do";
    a_job_that_is_aside_counts_as_lost among NAMED_GROUPS:
        "or queue.is_aside(member, record)" => "";
    a_job_of_a_group_that_is_set_aside_loses_its_group among NAMED_GROUPS:
        "if gate and not gate.is_order then\n          held[" => "if false then\n          held[";
    a_job_that_was_set_aside_is_still_in_line among NAMED:
        "redis.call('ZREM', key.waiting, unpack(aside_ids))" => "";
}
