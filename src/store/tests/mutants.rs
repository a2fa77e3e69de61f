//! Proof that the random tests can fail: scripts that are broken on purpose, each in one way that
//! matters. Redis runs the broken script, memory the right verb; some sequence has to tell. The
//! sequences are made of the operations that matter for what is broken (`random/profile.rs`), so
//! verbs that are added later do not make it harder to notice.
//!
//! `OXCART_SEQUENCES=100 cargo test --lib --all-features mutants::name -- --nocapture` says how large
//! a part of so many sequences notices it, and which operations are needed: both help to choose a
//! profile. At least 1 of 60 should, or a small change of an operation may hide it.

use super::random::{Player, Profile, profile, setting};
use super::register::scripts;
use super::subject::{Patch, replaced_once};
use crate::redis::script::Script;

/// Within this many sequences it has to be noticed: at least five times as many as it takes now. The
/// seeds are fixed: these tests do not depend on luck.
const SEQUENCES: u64 = 300;

fn is_noticed(profile: Profile, needle: &'static str, instead: &'static str) {
    let patch = Patch { needle, instead };
    let breaks = |script: &&Script| replaced_once(script.body(), needle, instead).is_some();
    assert!(
        scripts().iter().any(breaks),
        "no script has these lines exactly once; find them again: {needle}"
    );
    let mut player = Player::new(Some(patch), profile);
    if let Some(sequences) = setting("OXCART_SEQUENCES") {
        return println!("{}", noticing(&mut player, sequences));
    }
    for seed in 0..SEQUENCES {
        if let Err(why) = player.play(seed) {
            let why: String = why.chars().take(300).collect();
            println!("noticed by seed {seed}: {why}");
            player.mend();
            return assert_eq!(player.play(seed), Ok(()), "without anything broken");
        }
    }
    panic!("{SEQUENCES} sequences did not notice it");
}

/// How many sequences notice it; and the shortest that does.
fn noticing(player: &mut Player, sequences: u64) -> String {
    let fails = |seed: &u64| player.play(*seed).is_err();
    let seeds: Vec<u64> = (0..sequences).filter(fails).collect();
    let first = seeds.first().map(|seed| player.play_and_explain(*seed));
    let why = first.and_then(Result::err).unwrap_or_default();
    let n = seeds.len();
    format!("noticed by {n} of {sequences} sequences: {seeds:?}\n{why}")
}

/// One test each: what is broken, the profile that shows it, the lines, and the lines in their place.
macro_rules! mutants {
    ($($name:ident among $profile:ident: $needle:literal => $instead:literal;)*) => {$(
        #[test]
        fn $name() {
            is_noticed(profile::$profile, $needle, $instead);
        }
    )*};
}

mod adopt;
mod alerts;
mod breaker;
mod dead;
mod dead_caps;
mod flows;
mod flows_far;
mod gates;
mod group_pace;
mod limits;
mod log;
mod oldest;
mod outbox;
mod pages;
mod pause_name;
mod replies;
mod report;
mod saga;
mod spawn;
mod steps;
mod successors;
mod topic;
mod unique;

mutants! {
    g2_no_receipt_check_when_settling among CLAIMS:
        "if claims[i] ~= receipts[i] or seen[id] then" => "if not claims[i] or seen[id] then";
    g2_no_receipt_check_when_extending among LEASES:
        "if claims[i] == receipts[i] then" => "if claims[i] then";
    g2_no_receipt_check_for_progress among LEASES:
        "if redis.call('HGET', key.claims, args.id) ~= args.receipt then"
            => "if not redis.call('HGET', key.claims, args.id) then";
    g2_fences_do_not_grow_when_the_clock_goes_back among CLAIMS:
        "math.max(queue.number(meta.fence) + 1, now_us)" => "now_us";
    g1_popped_without_a_lease among CLAIMS:
        "redis.call('ZADD', key.active, unpack(deadlines))\n  redis.call('HSET', key.claims"
            => "redis.call('HSET', key.claims";
    g1_settled_and_still_leased among CLAIMS:
        "queue.unlease(ended)" => "";
    g1_leased_and_still_in_line among CLAIMS:
        "redis.call('ZREMRANGEBYRANK', key.waiting, '0', queue.whole(from_line - 1))" => "";
    g1_suspects_are_leased_and_still_in_line among SUSPECTS:
        "redis.call('ZREM', key.suspects, unpack(ids, 1, suspects))" => "";
    g2_settled_twice_in_one_call among CLAIMS:
        "if claims[i] ~= receipts[i] or seen[id] then" => "if claims[i] ~= receipts[i] then";
    g3_a_repeated_call_is_executed_again among CALLS:
        "if number == last then" => "if false then";
    g3_a_late_call_is_executed among CALLS:
        "if last and number < last then" => "if false then";
    g3_a_question_whether_a_call_ran_leaves_no_mark among CALLS:
        "if answer == ASKED then" => "if false then";
    g3_a_question_whether_a_call_ran_does_not_take_its_number among CALLS:
        "queue.end_call(lane, number, ASKED)" => "";
    a_repeated_call_writes_nothing_that_could_be_waited_for among CALLS:
        "queue.end_call(args.lane, args.call, answer)" => "";
    g3_a_repeated_claim_gives_what_others_hold among REPEATS:
        "if claims[i] == receipt and records[i] then" => "if claims[i] and records[i] then";
    g3_an_id_that_is_there_is_added_again among CALLS:
        "if known and (known[i] or seen[id]) then" => "if known and seen[id] then";
    g3_a_new_id_that_is_not_new_replaces_another_job among CALLS:
        "local set = #ids == 1 and 'HSETNX' or 'HSET'" => "local set = 'HSET'";
    g3_a_new_id_that_is_not_new_is_not_told among CALLS:
        "queue.count('clashed', clashed)" => "";
    g4_priority_is_lost_on_recovery among SUSPECTS:
        "scores[#stalled] = places[i]" => "scores[#stalled] = '0'";
    g4_a_retry_goes_to_the_front among CLAIMS:
        "options[other.id] = { priority = queue.priority_at(places[other.id]) }"
            => "options[other.id] = { priority = queue.priority_at(places[other.id]), front = true }";
    g4_a_released_job_goes_to_the_back among CLAIMS:
        "queue.enter_line(again, queue.in_order(again, places))" => "queue.enter_anew(again, {})";
    g4_a_released_job_gets_its_first_place_and_not_its_last among CLAIMS:
        "places[i] = moved[i] and string.match(moved[i], '^%-?%d+$')" => "places[i] = false";
    g4_a_delayed_job_forgets_its_priority among DUE:
        "local line = 2 * ((option.priority or DEFAULT_PRIORITY) - DEFAULT_PRIORITY)"
            => "local line = 0";
    g4_a_delayed_job_forgets_that_it_goes_to_the_front among DUE:
        "option.front and line - 1 or line" => "line";
    g4_a_promotion_leaves_urgent_jobs_behind among DUE:
        "queue.due_in_line(line, due_ms, from, limit - #ids, rooms)"
            => "queue.due_in_line(line, due_ms, from, math.ceil((limit - #ids) / 2), rooms)";
    g4_a_new_job_overtakes_what_is_due among DUE:
        "if meta.due and queue.number(meta.due) <= now_ms then\n    queue.leave_room()"
            => "if false then\n    queue.leave_room()";
    g4_what_is_left_for_a_room_begins_with_it_again among DUE:
        "number = last - left + 1" => "number = first";
    g4_what_has_room_gets_it_again among DUE:
        "queue.newest_room() or -1, 0, nil" => "-1, 0, nil";
    g5_what_is_left_of_a_promotion_is_forgotten among DUE:
        "if #ids < limit then\n    queue.found_due(next_ms)" => "if true then\n    queue.found_due(next_ms)";
    g8_room_is_kept_for_ever among DUE:
        "if not next_ms or next_ms > now_ms then\n    queue.drop_rooms()"
            => "if false then\n    queue.drop_rooms()";
    g5_a_removed_job_is_still_waited_for among ENDED:
        "delayed = delayed or state == 'delayed'" => "";
    g5_a_job_starts_before_it_is_due among DUE:
        "local to_ms = math.min(until_ms or now_ms, now_ms)"
            => "local to_ms = math.min(until_ms or now_ms, now_ms) + 50";
    g5_the_token_is_not_armed_again among WAKING:
        "if more or (suspects > 0 and not held and queue.offers_suspects(claimed)) or" => "if";
    g5_what_is_left_in_line_is_not_told among WAKING:
        "local more = #ids > limit" => "local more = false";
    g5_a_new_head_of_the_delayed_arms_nothing among DUE:
        "if not next_ms or earliest < next_ms then" => "if false then";
    g5_every_worker_holds_the_timer among DUE:
        "if holder and holder ~= args.worker and holder ~= '-' and tonumber(held_due) == due_ms then"
            => "if false then";
    g5_a_worker_that_stops_keeps_the_timer among DUE:
        "if not args.hold and meta.timer then" => "if false then";
    g6_a_stall_is_not_counted among SUSPECTS:
        "queue.number(stalls[i]) + 1" => "queue.number(stalls[i])";
    g6_a_poisoned_job_goes_on among POISON:
        "elseif times > most then" => "elseif false then";
    g6_a_suspect_is_claimed_by_anybody among SUSPECTS:
        "if not (suspects > 0 and queue.has(key.suspects)) then"
            => "suspects = math.max(suspects, 1)\nif not queue.has(key.suspects) then";
    g6_a_suspect_that_must_be_alone_runs_with_others among SUSPECTS:
        "if queue.must_be_alone(stalls[i]) then" => "if false then";
    g6_the_stalls_that_are_set_are_ignored_when_jobs_are_taken_back among POISON:
        "requests, sagas, max_stalls = {}, {}, queue.setting('max_stalls')" => "requests, sagas, max_stalls = {}, {}, 4";
    g6_the_stalls_that_are_set_are_ignored_when_suspects_are_claimed among SUSPECTS:
        "+ SPARE_STALLS > queue.setting('max_stalls')" => "+ SPARE_STALLS > 4";
    g6_a_worker_is_not_told_that_a_suspect_runs_alone among SUSPECTS:
        "add(i, 'alone', '')" => "";
    g6_a_suspect_that_must_be_alone_comes_to_others among SUSPECTS:
        "(i == 1 and args.alone)" => "(i == 1)";
    g6_suspects_go_before_what_comes_before_them among SUSPECTS:
        "if not last or tonumber(last) < place then" => "if not last then";
    g6_leases_are_judged_by_a_clock_that_jumped among DOUBTS:
        "math.abs(now_ms - args.expected_ms) <= args.tolerance_ms" => "true";
    g6_leases_are_judged_though_nobody_looked_for_long among DOUBTS:
        "local gap = now_ms - looked_ms > args.gap_ms" => "local gap = false";
    g6_leases_are_judged_after_a_step_back among DOUBTS:
        "local back = looked_ms - now_ms > args.tolerance_ms" => "local back = false";
    g6_leases_are_judged_in_a_quiet_period among DOUBTS:
        "local sure = now_ms >= from_ms and" => "local sure =";
    g6_a_step_back_makes_the_quiet_longer among DOUBTS:
        "from_ms = math.min(from_ms, now_ms + args.quiet_ms)" => "";
    g6_those_in_trouble_put_judging_off_for_ever among DOUBTS:
        "args.doubt == 'away' and now_ms - judged_ms < PUT_OFF_AT_MOST_MS"
            => "args.doubt == 'away'";
    g6_a_lease_may_end_later_than_it_can_have_been_set among DOUBTS:
        "queue.renew(far, longest_ms)" => "";
    g6_a_longer_lease_is_known_for_ever among DOUBTS:
        "if args.lease_ms >= longest_ms or now_ms > until_ms then"
            => "if args.lease_ms >= longest_ms then";
    g6_a_lease_is_judged_at_its_end among SUSPECTS:
        "local over = queue.whole(now_ms - args.tolerance_ms)" => "local over = now_text";
    g7_a_promotion_without_bound among DUE:
        "queue.score_in(line, to_ms),\n    'LIMIT', 0, limit)" => "queue.score_in(line, to_ms))";
    g7_a_recovery_without_bound among SUSPECTS:
        "key.active, '-inf', over, 'LIMIT', 0, args.limit)" => "key.active, '-inf', over)";
    g7_a_claim_without_bound_in_bytes among CLAIMS:
        "if bytes + size > max_bytes and (" => "if false and (";
    g8_a_retention_by_number_is_ignored among KEPT:
        "local excess = redis.call('ZCARD', key.completed) - queue.setting('keep_at_most')"
            => "local excess = 0";
    g8_a_retention_by_number_ignores_what_a_job_asks_for among KEPT:
        "if waits or (own_ms and keep_ms > 0) then" => "if waits then";
    g8_what_asks_for_less_is_kept_as_long_as_most among KEPT:
        "if own_ms then\n    return now_ms + math.max" => "if own_ms and own_ms > 1000 then\n    return now_ms + math.max";
    g8_what_was_kept_before_a_change_is_not_dropped among KEPT:
        "drop_until(key.completed, now_ms - queue.setting('keep_completed_ms'))"
            => "drop_until(key.completed, now_ms - 86400000)";
    g8_what_was_waited_for_is_young_again among KEPT:
        "return score - MOVES_ON - AWAITED_KEPT_MS" => "return now_ms";
    g8_events_are_kept_though_none_are_to_be among SETTINGS:
        "if ids_kept == 0 then" => "if false then";
    a_gap_of_events_that_were_not_kept_cannot_be_seen among SETTINGS:
        "queue.set_meta('event', queue.whole(queue.number(meta.event) + 1))" => "";
    what_code_declares_overwrites_what_an_operator_has_changed among SETTINGS:
        "(args.by == 'code' and last[name] ~= value)" => "(args.by == 'code')";
    a_worker_that_looks_whether_its_settings_are_there_overwrites_others among SETTINGS:
        "(args.by == 'code' and last[name] ~= value)" => "(last[name] ~= value)";
    what_code_declares_is_not_remembered among SETTINGS:
        "values[name], last[name], is_new = value, value, true"
            => "values[name], last[name], is_new = value, value, false";
    a_change_of_settings_has_no_revision_of_its_own among SETTINGS:
        "queue.number(string.match(before, '^1 (%d+)')) + 1" => "1";
    g8_a_retention_by_age_is_ignored among ENDED:
        "if keep_ms == 0 and not awaited then" => "if false then";
    g8_an_attempt_is_left_behind among ENDED:
        "unpack(fields, from, math.min(#fields, from + AT_A_TIME - 1))" => "ids[i]";
    g8_a_place_is_left_behind among ENDED:
        "ipairs({ key.places, key.payloads, key.stalls, key.progress })"
            => "ipairs({ key.payloads, key.stalls, key.progress })";
    g8_a_silent_lane_is_never_forgotten among CALLS:
        "if now_ms - last_ms > args.lane_ttl_ms then" => "if false then";
    a_gap_in_the_events_cannot_be_seen among CLAIMS:
        "queue.set_meta('event', queue.whole(number))" => "";
    an_event_is_dropped among SUSPECTS:
        "queue.emit('stalled', stalled)" => "";
    nobody_is_told_of_the_last_job among DRAINING:
        "if is_drained and queue.active_count() == 0 then" => "if false then";
    a_cancelled_job_still_waits among CANCELLED:
        "      queue.take_out(id, part, record)\n      if" => "      if";
    a_cancelled_job_is_kept_as_long_as_any among CANCELLED:
        "queue.field_of(record, 'keep_ms')" => "nil";
    a_job_that_runs_is_cancelled among CANCELLED:
        "if state == 'waiting' or state == 'blocked' or state == 'delayed' then"
            => "if state == 'active' or state == 'waiting' or state == 'blocked' or state == 'delayed' then";
    cancel_does_not_tell_where_a_job_is among CANCELLED:
        "elseif state then\n      queue.append(others" => "elseif false then\n      queue.append(others";
    a_cancelled_job_is_still_waited_for among CANCELLED:
        "is_delayed = is_delayed or state == 'delayed'" => "";
    cancelled_jobs_are_not_counted among CANCELLED:
        "queue.count('cancelled', #ids)" => "";
    the_last_cancelled_job_drains_nothing among CANCELLED:
        "if #cancelled > 0 then" => "if false then";
    a_request_to_cancel_is_lost_when_its_worker_dies among REQUESTED:
        "  requests, sagas = queue.take_requests(ids)\nend" => "  queue.take_requests(ids)\nend";
    a_retry_wins_over_a_request_to_cancel among REQUESTED:
        "queue.has(key.attempts) and queue.obey_requests(others) or nil" => "nil";
    a_completed_job_is_cancelled_because_that_was_asked_for among REQUESTED:
        "elseif request and not saga and other.outcome ~= 'completed' then" => "elseif request and not saga then";
    a_request_to_cancel_is_left_behind among REQUESTED:
        "redis.call('HDEL', key.attempts, unpack(found))" => "";
    a_request_to_cancel_outlives_its_job among REMOVED_AFTER_ALL:
        "fields[#fields + 1] = ids[i] .. '#cancel'" => "";
    a_request_to_cancel_cannot_be_found_when_its_job_goes among REMOVED_AFTER_ALL:
        "queue.write_counters(ids[i], queue.read_counters(ids[i]))" => "";
    a_second_request_to_cancel_replaces_the_first among REQUESTED:
        "redis.call('HSETNX', key.attempts, ids[i] .. '#cancel', outcome) == 1"
            => "redis.call('HSET', key.attempts, ids[i] .. '#cancel', outcome) == 1";
    a_renewal_does_not_tell_of_a_request_to_cancel among REQUESTED:
        "queue.append(told, positions[i], requests[i])" => "";
    a_renewal_tells_of_the_request_for_another_job among REQUESTED:
        "positions[#held + 1] = ARGV[i + 1], i - 1" => "positions[#held + 1] = ARGV[i + 1], #held";
    a_worker_is_not_told_that_its_job_was_cancelled among REQUESTED:
        "queue.append(reply, overruled[i], 'cancelled')\n    reply[#reply + 1] = overruled[i + 1]" => "";
    a_job_that_runs_is_kept_as_long_as_any_when_it_is_cancelled among REQUESTED:
        "other.keep_ms = queue.own_keep_ms(redis.call('HGET', key.jobs, other.id) or '')" => "other.keep_ms = nil";
    a_request_to_cancel_is_not_announced among REQUESTED:
        "redis.call('XADD', key.cancels, 'MAXLEN', '~', REQUESTS_KEPT, '*', unpack(fields))" => "";
    a_waiter_is_not_told among AWAITED:
        "until_ms[i] and tonumber(until_ms[i]) > now_ms" => "false";
    what_is_awaited_is_not_kept among AWAITED:
        "math.max(own_ms, is_awaited and AWAITED_KEPT_MS or 0)" => "own_ms";
    a_paused_queue_is_claimed_from among WAKING:
        "if claim > 0 and not meta.paused and" => "if claim > 0 and";
    a_replayed_job_keeps_its_stalls among POISON:
        "redis.call('HDEL', key.stalls, id)" => "";
    g3_a_call_that_is_repeated_after_the_queue_was_deleted_runs_again among DELETED:
        "if name ~= 'calls' and name ~= 'sources' then" => "if true then";
    g8_a_key_of_a_deleted_queue_is_left_behind among DELETED:
        "if name ~= 'calls' and name ~= 'sources' then" => "if name ~= 'calls' and name ~= 'places' then";
    a_queue_that_somebody_wants_is_deleted among DELETED:
        "if args.all or not is_wanted then" => "if true then";
    a_queue_with_dead_letters_is_deleted among DELETED:
        "waiting + blocked + delayed + active + dead + schedules" => "waiting + blocked + delayed + active + schedules";
    a_queue_that_was_deleted_is_not_told_to_be_new among DELETED:
        "local is_first = not meta.added" => "local is_first = false";
    g1_a_job_without_a_list_goes_to_the_wrong_place among LOST_LISTS:
        "queue.enter_line(known, at)" => "queue.enter_anew(known, {})";
    g1_a_job_without_a_list_is_forgotten_though_a_worker_has_it among LOST_LISTS:
        "if claims[i] then\n      into = held" => "if false then\n      into = held";
    a_completed_job_without_a_list_runs_again among LOST_LISTS:
        "elseif results[i] then" => "elseif false then";
    a_dead_job_without_a_list_is_kept_like_a_completed_one among LOST_LISTS:
        "'^.........\\129\\164dead'" => "'^never'";
    g8_a_removed_orphan_leaves_something_behind among LOST_LISTS:
        "queue.announce(removed)\n    queue.forget_ended(removed)" => "queue.announce(removed)\n    queue.forget(removed)";
    g8_what_serves_nothing_stays among IDLE:
        "redis.call('DEL', key.active, key.claims, key.wake)" => "";
    g8_events_of_a_queue_that_holds_nothing_stay among IDLE:
        "keep_until(key.events, last_ms + EVENTS_KEPT_MS)" => "";
    g8_announcements_of_a_queue_that_holds_nothing_stay among IDLE:
        "keep_until(key.finished, last_ms + finished_ms)" => "";
    what_serves_something_is_dropped among IDLE:
        "if redis.call('EXISTS', key.jobs, key.schedules) > 0 then" => "if false then";
    a_removed_job_is_not_told among ENDED:
        "queue.emit('removed', removed)" => "";
    a_queue_whose_last_job_was_removed_is_not_told_to_be_drained among REMOVED:
        "if open then\n  queue.say_if_drained()" => "if false then\n  queue.say_if_drained()";
    a_queue_is_said_to_be_drained_while_jobs_are_left among REMOVED:
        "and queue.delayed_count() == 0 and queue.active_count() == 0 then" => "then";
    a_queue_whose_last_job_was_buried_is_not_told_to_be_drained among OUTLIVED:
        "if #dead + #cancelled > 0 then\n  queue.say_if_drained()" => "if false then\n  queue.say_if_drained()";
    the_progress_of_a_dead_worker_goes_on_showing among LEASES:
        "queue.unsay_progress(stalled)" => "";
    the_progress_of_a_failed_attempt_goes_on_showing among LEASES:
        "queue.unsay_progress(open)" => "";
    a_running_job_is_removed among ENDED:
        "if state == 'active' then" => "if false then";
    a_job_that_runs_is_edited among EDITED:
        "and state ~= 'delayed' and not is_dead then\n  return { 'state'" => "and false then\n  return { 'state'";
    an_edit_overwrites_what_another_edit_wrote among EDITED:
        "if args.rewrite and record ~= ARGV[2] then" => "if false then";
    an_edited_job_is_in_two_places among EDITED:
        "queue.take_out(job.id, job.part, job.record)\n  if queue.gate_of" => "if queue.gate_of";
    an_edited_job_keeps_its_place_of_another_priority among EDITED:
        "redis.call('HDEL', key.places, job.id)" => "";
    an_edited_job_does_not_show_its_priority among EDITED:
        "local changed = head .. place .. rest" => "local changed = as_before";
    g8_an_edited_job_leaves_its_old_payload_behind among EDITED:
        "elseif payload == false and queue.has(key.payloads) then" => "elseif false then";
    g5_a_job_that_was_rescheduled_is_still_waited_for among EDITED:
        "if queue.change(job, new) then" => "queue.change(job, new)\nif false then";
    g5_nobody_hears_of_a_job_that_is_to_run_now among EDITED:
        "if new.due_ms == 0 and not meta.paused then" => "if false then";
    g4_an_edited_job_forgets_that_it_goes_to_the_front among EDITED:
        "new.front = state == 'delayed' and queue.is_to_front(score)" => "new.front = false";
    g4_a_job_that_is_due_already_goes_to_the_back_when_it_is_to_run_now among EDITED:
        "if not goes_on and new.due_ms == queue.due_of_waiting(job) and"
            => "if not args.due and not goes_on and new.due_ms == queue.due_of_waiting(job) and";
    a_snooze_is_not_counted among SNOOZED:
        "counters[SNOOZES] = counters[SNOOZES] + 1" => "";
    a_snooze_burns_an_attempt among SNOOZED:
        "counters[SNOOZES] = counters[SNOOZES] + 1"
            => "counters[SNOOZES], counters[FAILED] = counters[SNOOZES] + 1, counters[FAILED] + 1";
    a_job_may_be_snoozed_for_ever among SNOOZED:
        "if counters[SNOOZED_SINCE_MS] == 0 then" => "if true then";
    a_replayed_job_is_as_old_as_it_was among SNOOZED:
        "if counters[SNOOZES] then" => "if false then";
    a_failure_costs_no_attempt among CLAIMS:
        "counters[FAILED] = counters[FAILED] + failed" => "counters[FAILED] = counters[FAILED]";
    g1_taken_by_its_name_and_still_offered among UNLIKE:
        "redis.call('ZREM', key.unhandled, unpack(ids))" => "";
    g1_one_in_line_too_many_is_taken_out among HANDED_BACK:
        "local from_line = seen - suspects - offered" => "local from_line = seen - suspects";
    g4_a_job_that_was_handed_back_loses_its_place among UNLIKE:
        "queue.offer_of(job.id, job.name, places[job.id])" => "queue.offer_of(job.id, job.name, '0')";
    g4_what_is_offered_goes_before_all_others among BUSY:
        "if not theirs[their] or (place and place <= their_places[their]) then"
            => "if not theirs[their] then";
    g4_what_is_offered_again_loses_its_place among OVERDUE:
        "queue.enter_line(again, places)\n    queue.emit('waiting', again)"
            => "queue.enter_anew(again, {})\n    queue.emit('waiting', again)";
    g5_news_of_a_job_handed_back_are_not_told among UNLIKE:
        "queue.store_unhandled(jobs, places)\n  queue.tell_of_unhandled()" => "queue.store_unhandled(jobs, places)";
    g5_news_that_are_lost_are_not_told_again among LOST_NEWS:
        "if (moved > 0 or is_untold) and not" => "if moved > 0 and not";
    g5_jobs_of_which_no_news_is_left_are_told_to_nobody among LOST_NEWS:
        "if is_untold then" => "if false then";
    g5_news_wake_the_same_workers_for_ever among HANDED_BACK:
        "or (news > 0 and args.heard ~= news) then" => "or news > 0 then";
    g5_news_wake_nobody among HANDED_BACK:
        "or (news > 0 and args.heard ~= news) then" => "then";
    g5_what_is_offered_beyond_the_slots_is_not_told among HANDED_BACK:
        "((more or claimed.offers_left) and not held and 1 or 0)" => "(more and not held and 1 or 0)";
    g5_after_a_pause_there_is_no_news among PAUSES:
        "redis.call('HDEL', key.meta, 'paused')\n  if queue.number(meta.unhandled) > 0 then"
            => "redis.call('HDEL', key.meta, 'paused')\n  if false then";
    g5_a_job_is_given_to_a_name_that_begins_alike among HANDED_BACK:
        "'(' .. name .. '\\1', 'BYLEX', 'LIMIT', '0', AT_ONCE)"
            => "'(' .. name .. '\\255', 'BYLEX', 'LIMIT', '0', AT_ONCE)";
    g6_what_is_too_old_is_offered_to_nobody among OVERDUE:
        "key.unhandled, '-inf', now_ms, 'LIMIT', 0, limit)" => "key.unhandled, '-inf', 0, 'LIMIT', 0, limit)";
    g7_what_is_too_old_is_offered_without_bound among OVERDUE:
        "key.unhandled, '-inf', now_ms, 'LIMIT', 0, limit)" => "key.unhandled, '-inf', now_ms)";
    g8_a_name_is_left_behind among UNLIKE:
        "redis.call('HDEL', key.attempts, unpack(fields))\n  if #offers > 0 then" => "if #offers > 0 then";
    g8_that_a_name_was_asked_for_is_left_behind among UNLIKE:
        "redis.call('DEL', key.asked)" => "";
    g1_what_a_busy_worker_has_asked_for_is_offered_to_all among BUSY:
        "if at_ms and at_ms > now_ms then" => "if false then";
    g1_a_job_that_found_its_worker_goes_on_growing_old among UNLIKE:
        "counters[BOUNCED_SINCE_MS] = 0\n      queue" => "queue";
    g8_an_offer_of_a_removed_job_is_left_behind among UNLIKE:
        "if part == key.unhandled then" => "if false then";
    the_last_job_of_a_name_is_done_and_others_are_said_to_wait among UNLIKE:
        "queue.set_meta('unhandled', '0')" => "";
    why_a_job_bounced_is_not_told among UNLIKE:
        "queue.emit_value('why', why)" => "";
    s1_a_tick_is_fired_whoever_was_faster among TICKS:
        "and tonumber(ticks[i]) == entry.tick_ms and entry.last_ms <= now_ms"
            => "and ticks[i] and entry.last_ms <= now_ms";
    s1_what_was_changed_meanwhile_is_fired among TICKS:
        "and state[REVISION] == entry.revision\n" => "\n";
    s1_a_tick_is_fired_before_its_time among TICKS:
        "entry.tick_ms and entry.last_ms <= now_ms" => "entry.tick_ms";
    s1_the_following_tick_is_not_stored among TICKS:
        "redis.call('ZADD', key.ticks, unpack(scores))" => "";
    s2_the_last_job_is_not_looked_at among TICKS:
        "local open = entry.no_overlap and is_open(state[LAST_JOB])" => "local open = false";
    s2_a_limit_is_not_kept among TICKS:
        "if entry.limit and state[FIRED] >= entry.limit then" => "if false then";
    s4_every_worker_sees_to_the_tick among TICKS:
        "if holder ~= '' and now_ms < tick_ms + PATIENCE_MS then" => "if false then";
    s4_a_worker_that_stops_keeps_the_tick among TICKS:
        "if holder == args.worker then\n      queue.set_meta('tick', ms)"
            => "if false then\n      queue.set_meta('tick', ms)";
    s4_nobody_is_told_of_a_new_tick among TICKS:
        "queue.arm(changed_ms)" => "";
    s4_nobody_is_told_of_a_tick_that_is_handed_on among HANDED_ON:
        "if changed_ms and not args.hold then" => "if false then";
    s4_what_nobody_can_read_holds_the_others_up among TICKS:
        "first_tick('(' .. queue.whole(passed_ms))" => "first_tick('-inf')";
    s5_a_change_that_comes_too_late_is_stored among EDITS:
        "if state[REVISION] ~= args.revision or" => "if";
    s1_a_tick_that_was_dealt_with_is_stored_again among EDITS:
        "args.tick_ms and args.tick_ms <= state[LAST_MS]" => "false";
    s2_an_edit_swallows_a_tick_that_is_due among EDITS:
        "or (tick_ms or math.huge) <= now_ms" => "";
    s1_a_change_does_not_see_that_its_tick_was_fired among EDITS:
        "(tick_ms or -1) ~= args.seen_ms or" => "";
    s4_a_schedule_without_a_next_tick_is_not_found among LOST_TICKS:
        "if not redis.call('ZSCORE', key.ticks, name) then\n    lost" => "if false then\n    lost";
    s4_a_lost_moment_of_the_next_tick_is_not_mended among LOST_TICKS:
        "if not first_ms or known_ms and" => "if not first_ms or";
    s4_a_next_tick_too_far_ahead_is_believed among LOST_TICKS:
        "known_ms <= math.max(first_ms, now_ms + LOOK_AGAIN_MS)" => "known_ms";
    s5_a_schedule_that_is_gone_is_not_found among LOST_TICKS:
        "if not (rule or job or state) then" => "if false then";
    s5_one_that_lost_its_next_tick_is_not_listed among LOST_TICKS:
        "if tick or rule or state or bytes > 0 then" => "if tick then";
    a_page_begins_anywhere_among_jobs_of_one_score among PAGES:
        "if stands_behind(member, place.id) or" => "if member ~= place.id or";
    a_page_begins_at_a_number_of_jobs among PAGES:
        "place and rank_of(part, place, true) or 0" => "place and args.limit or 0";
    a_page_has_too_many_bytes among PAGES:
        "if jobs > 0 and bytes > args.bytes then" => "if false then";
    cancelled_jobs_are_listed_as_completed among PAGES:
        "local wanted = records[i] and queue.shown_state(id, state) == args.state" => "local wanted = records[i]";
    replay_does_not_tell_where_a_job_is among PAGES:
        "if state then\n      queue.append(others" => "if false then\n      queue.append(others";
    s5_a_tick_that_is_not_there_any_more_is_kept among EDITS:
        "if args.keep_tick then" => "if false then";
}
