//! Of limits, and of a hold.

use super::{is_noticed, profile};

mutants! {
    g8_a_log_of_starts_that_says_nothing_stays among LIMITED_IDLE:
        "if meta.limited then\n      queue.forget_started()" => "if false then\n      queue.forget_started()";
    limits_the_concurrency_is_ignored among LIMITS:
        "return math.min(claim, free_places() or claim," => "return math.min(claim, claim,";
    limits_starts_are_not_counted among LIMITS:
        "window.started = window.started + math.min(weight, window.most)" => "";
    limits_starts_are_not_stored among LIMITS:
        "queue.set_meta('started', text)" => "";
    limits_a_start_leaves_the_window_with_the_first_of_its_entry among LIMITS:
        "last.last_ms, last.units = math.max(last.last_ms, last_ms), last.units + units"
            => "last.units = last.units + units";
    limits_the_window_is_as_long_as_the_period among LIMITS:
        "period_ms + math.min(MARGIN_MAX_MS, math.ceil(period_ms / MARGIN_PART))" => "period_ms";
    limits_a_smooth_rate_is_not_spread among LIMITS:
        "local at_ms = window.next_ms and math.ceil(next_ms(window)) or 0" => "local at_ms = 0";
    limits_what_was_idle_is_caught_up_in_full among LIMITS:
        "math.max(next_ms, now_ms - period_ms / CATCH_UP_PART)" => "next_ms";
    limits_after_a_step_of_the_clock_the_queue_stands_still among LIMITS:
        "math.min(last_ms, now_ms),\n" => "last_ms,\n";
    limits_after_a_step_of_the_clock_a_log_counts_as_of_each_look among LIMITS:
        "window.is_set_back = window.is_set_back or last_ms > now_ms" => "";
    limits_after_a_step_of_the_clock_a_smooth_rate_counts_as_of_each_look among LIMITS:
        "window.is_set_back = window.is_set_back or next_ms > latest_ms" => "";
    a_hold_outlives_a_step_of_the_clock among HOLDS_IN_DOUBT:
        "(until_ms <= now_ms or now_ms < since_ms)" => "until_ms <= now_ms";
    limits_nobody_hears_of_unhandled_jobs_that_were_held_back among LIMITED_UNLIKE:
        "and redis.call('HDEL', key.meta, 'offers_held') == 1 then" => "and false then";
    limits_what_was_said_of_unhandled_jobs_that_were_held_back_stays among LIMITED_UNLIKE:
        "redis.call('HDEL', key.meta, 'offers_held')\n  end" => "end";
    limits_nobody_comes_back_for_what_expires_while_too_many_jobs_run among LIMITED_EXPIRY:
        "return true, expires_ms and not calls_again and" => "return true, false and";
    limits_a_heavy_job_counts_as_one among LIMITS:
        "queue.field_of(record, 'weight') or ''" => "''";
    limits_a_heavy_job_is_passed_over among LIMITS:
        "and not queue.may_start(record) then" => "and not queue.may_start(record) and n > 0 then";
    limits_a_repeated_claim_is_limited_again among LIMITS:
        "queue.fitting(held, held_records, math.huge, 'again')" => "queue.fitting(held, held_records, math.huge)";
    limits_what_is_held_back_is_not_told among LIMITS:
        "told = held and -1 - told or told" => "";
    limits_nobody_comes_back among LIMITS:
        "return queue.hold_timer(at_ms)\nend" => "return nil\nend";
    limits_a_busy_worker_keeps_the_timer among LIMITS:
        "if is_busy and args.hold then" => "if false then";
    limits_a_new_job_wakes_a_worker_too_early among LIMITS:
        "if opens_ms and opens_ms > now_ms then" => "if false then";
    limits_a_new_job_wakes_worker_after_worker among LIMITS:
        "if tonumber(held_ms) ~= at_ms or holder == caller then" => "if true then";
    limits_what_becomes_due_waits_for_a_heavy_job among LIMITED_DUE:
        "if waits and due_ms and due_ms > now_ms then" => "if false then";
    limits_a_token_that_a_busy_worker_popped_is_lost among LIMITED_FULL:
        "elseif caller and holder == '-' then" => "elseif false then";
    limits_a_suspect_that_may_start_when_a_job_ends_is_not_offered among SUSPECTS_WAKING:
        "return args.claim == 0 or meta.limited and args.settle > 0" => "return args.claim == 0";
    g6_a_suspect_is_not_offered_by_a_worker_without_slots among SUSPECTS_WAKING:
        "return args.claim == 0 or meta.limited and args.settle > 0" => "return meta.limited and args.settle > 0";
    limits_a_suspect_that_may_start_when_a_rate_opens_is_not_offered among SUSPECTS_OPEN:
        "queue.unset_meta('timer')\n    return true" => "queue.unset_meta('timer')";
    limits_a_suspect_is_offered_again_and_again among SUSPECTS_WAKING:
        "queue.unset_meta('timer')\n    return true" => "return true";
    limits_a_heavy_suspect_is_overtaken_by_light_jobs among LIMITED_SUSPECTS:
        "if meta.limited and queue.waits_for_heavy_job() or not is_line_left" => "if not is_line_left";
    limits_what_a_gate_holds_back_counts_as_started among LIMITED_GATES:
        "window.started = window.started - math.min(weight_of(record), window.most)" => "";
    limits_a_turn_wakes_a_worker_too_early among LIMITED_GATES:
        "queue.emit('waiting', ids)\n    if meta.limited and" => "queue.emit('waiting', ids)\n    if false and";
    limits_a_job_that_waits_in_its_group_may_start_at_any_time among LIMITED_GATES:
        "and how ~= 'again' and not" => "and how ~= 'again' and how ~= 'must fit' and not";
    limits_a_job_that_is_told_to_wait_keeps_the_turn_of_its_group_for_later among LIMITED_GATES:
        "dead = 'dead', rate_limited = 'waiting', untold" => "dead = 'dead', untold";
    limits_a_change_wakes_nobody among LIMITS:
        "queue.forget_started()\n    if not meta.paused then" => "queue.forget_started()\n    if false then";
    a_hold_is_made_shorter among HOLDS:
        "(meta.hold_ends_ms or math.huge) >= until_ms" => "not meta.hold_ends_ms";
    a_hold_ends_what_an_operator_has_paused among HOLDS:
        "(meta.hold_ends_ms or math.huge) >= until_ms" => "(meta.hold_ends_ms or 0) >= until_ms";
    a_hold_does_not_end among HOLDS:
        "meta.paused = not is_over and meta.paused" => "meta.paused = meta.paused";
    a_hold_that_is_over_is_left_behind among HOLDS:
        "if meta.hold_is_over then" => "if false then";
    a_job_that_was_told_to_wait_holds_nothing among HOLDS:
        "queue.hold_until(now_ms + other.after_ms)" => "";
}
