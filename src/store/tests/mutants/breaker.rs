//! Scripts broken on purpose: breakers.

use super::{is_noticed, profile};

mutants! {
    a_breaker_needs_one_failure_more among BREAKERS:
        "failures >= args.failures and" => "failures > args.failures and";
    a_breaker_trips_on_few_calls among BREAKERS:
        " and calls >= args.calls" => "";
    a_breaker_does_not_look_at_the_ratio among BREAKERS:
        " and failures * 1000 >= args.permille * calls" => "";
    a_forced_breaker_trips among BREAKERS:
        "if trips and it.forced == '-' then" => "if trips then";
    one_probe_too_many_goes among BREAKERS:
        "#it.probes + it.succeeded < args.probes" => "#it.probes + it.succeeded <= args.probes";
    probes_that_ended_well_make_room_for_others among BREAKERS:
        "#it.probes + it.succeeded < args.probes" => "#it.probes < args.probes";
    one_probe_closes_a_breaker among BREAKERS:
        "if it.succeeded >= args.probes then" => "if true then";
    a_failed_probe_opens_nothing among BREAKERS:
        "elseif probe and args.ended == 'failed' then" => "elseif false then";
    a_probe_tells_twice among BREAKERS:
        "probe = table.remove(it.probes, i)" => "probe = one";
    a_probe_that_does_not_tell_is_waited_for among BREAKERS:
        "if until_ms > now_ms and until_ms <= now_ms + args.probe_ms then" => "if until_ms <= now_ms + args.probe_ms then";
    a_breaker_stays_open_after_the_clock_was_set_back among BREAKERS:
        "it.until_ms = math.min(it.until_ms, now_ms + args.open_ms)" => "";
    a_forced_breaker_lets_probes_go among BREAKERS:
        "  if it.forced == '-' then\n    queue.change_breaker(it, 'half-open')" => "  if true then\n    queue.change_breaker(it, 'half-open')";
    turns_begin_again_when_a_probe_fails among BREAKERS:
        "if flows[it.state] or flows[state] then" => "if true then";
    a_turn_is_days_away among BREAKERS:
        "math.min(from + after - now_ms, args.open_ms + 300000)" => "from + after - now_ms";
    turns_of_an_old_outage_count among BREAKERS:
        "if flows[it.state] or flows[state] then" => "if false then";
    a_forced_breaker_lets_the_time_pass among BREAKERS:
        "    it.until_ms = now_ms + args.open_ms\n" => "";
    more_calls_pass_than_the_rate_says among BREAKERS:
        "answer, it.passed = 'passes', it.passed + 1" => "answer = 'passes'";
    a_breaker_rises_for_ever among BREAKERS:
        "now_ms >= it.since + args.rise_ms" => "false";
    all_refused_jobs_come_back_at_once among BREAKERS:
        "it.turns = math.max(it.turns, queue.risen(now_ms - from)) + 1" => "it.turns = 1";
    turns_do_not_follow_the_time among BREAKERS:
        "it.turns = math.max(it.turns, queue.risen(now_ms - from)) + 1" => "it.turns = it.turns + 1";
    failures_of_a_later_time_count among BREAKERS:
        " and span.begin <= now_ms then" => " then";
    what_is_over_is_kept among BREAKERS:
        "if span.begin > now_ms - it.longest_ms - math.ceil(it.longest_ms / 10) and" => "if";
    a_shorter_window_forgets_what_a_longer_one_counts among BREAKERS:
        "math.max(args.window_ms, window_ms and queue.number(window_ms) or 0)" => "args.window_ms";
    to_look_needs_the_settings among BREAKERS:
        "if window_ms and not is_call then" => "if false then";
    the_settings_of_the_first_call_hold among BREAKERS:
        "if window_ms and not is_call then" => "if window_ms then";
    a_dropped_probe_makes_room_at_once among BREAKERS:
        "if probe and args.ended == 'dropped' then" => "if false then";
    a_dropped_probe_is_waited_for among BREAKERS:
        "math.min(probe.until_ms, now_ms + args.open_ms)" => "probe.until_ms";
    a_dropped_probe_tells_after_all among BREAKERS:
        "number = 0, until_ms" => "number = probe.number, until_ms";
    what_opened_a_breaker_counts_again among BREAKERS:
        "if it.state ~= 'rising' or state ~= 'closed' then" => "if false then";
    an_operator_waits_for_probes among BREAKERS:
        "  if forced == 'open' then" => "  if false then";
}
