//! Scripts broken on purpose: unique keys, and jobs that expire.

use super::{is_noticed, profile};

mutants! {
    two_jobs_have_one_key among UNIQUE:
        "local id, successor = unpack(redis.call('HMGET', key.unique, name, name .. ' next'))" => "local id, successor = false, false";
    a_key_is_kept_by_a_job_that_has_ended among UNIQUE:
        "queue.leave(leaving)\n    queue.expect_again" => "queue.expect_again";
    g8_a_key_is_kept_by_a_job_that_was_poisoned among UNIQUE_POISON:
        "if #leaving > 0 then\n  queue.leave(leaving)\nend\nif not meta.paused" => "if not meta.paused";
    a_key_is_kept_by_a_job_that_was_cancelled among UNIQUE:
        "if #leaving > 0 then\n    queue.leave(leaving)\n  end\n  queue.forget_expiry(cancelled)" => "queue.forget_expiry(cancelled)";
    a_key_is_kept_by_a_job_that_was_removed among UNIQUE:
        "if #leaving > 0 then\n  queue.leave(leaving)\nend\nqueue.forget_expiry(removed)" => "queue.forget_expiry(removed)";
    a_job_that_ends_takes_the_key_of_a_newer_one_away among UNIQUE:
        "if owner == ids[n] and not is_kept[n] then" => "if owner and not is_kept[n] then";
    a_key_is_lost_by_a_retry among UNIQUE:
        "local is_open = job.to == 'waiting' or job.to == 'delayed'" => "local is_open = job.to == 'waiting'";
    a_key_is_kept_by_a_job_that_has_started among UNIQUE:
        "queue.free_started(claimed.ids, claimed.records)" => "";
    a_key_that_is_remembered_is_free_when_the_job_ends among UNIQUE:
        "is_kept[n] = job.to ~= 'removed' and" => "is_kept[n] = false and";
    a_key_is_remembered_for_ever among UNIQUE:
        "return until_ms > now_ms" => "return true";
    g8_a_key_whose_time_is_over_is_never_forgotten among UNIQUE:
        "has_traits and queue.forget_keys(args.limit) or 0" => "0";
    a_key_is_taken_by_a_job_that_has_ended among KEYS_ASKED:
        "if queue.owns_key(is_there and state, until_ms) then" => "if true then";
    a_replayed_job_runs_beside_another_one_with_its_key among UNIQUE_REPLAYED:
        "if other and other.id ~= id then" => "if false then";
    a_replayed_job_has_no_key among UNIQUE_REPLAYED:
        "queue.give_key(name, id, until_what)\n  end\n  taken" => "end\n  taken";
    jobs_of_one_call_do_not_meet among UNIQUE:
        "if first[name] and (how or not" => "if false and (how or not";
    a_job_that_runs_is_replaced among UNIQUE:
        "if not (job and how and WAITS[job.state]) or has_begun or" => "if not (job and how) or";
    a_replaced_job_is_due_when_the_new_one_would_be among UNIQUE:
        "if how == 'debounce' then\n    due_ms, is" => "if how then\n    due_ms, is";
    a_debounced_job_waits_for_longer_than_it_may among UNIQUE:
        "due_ms = math.min(due_ms, since_ms + most_ms)" => "local _ = since_ms + most_ms";
    a_debounced_job_forgets_since_when_it_waits among UNIQUE:
        "return due_ms > now_ms and due_ms or 0, true" => "return due_ms > now_ms and due_ms or 0, false";
    a_replaced_job_stays_at_its_old_priority among UNIQUE:
        "and new.priority == known_priority" => "";
    g8_a_replaced_job_stays_in_its_old_group among UNIQUE:
        "queue.leave_gates({ { id = job.id, record = job.record, from = job.state, to = 'moved' } })" => "";
    g8_the_payload_of_a_replaced_job_is_left_behind among UNIQUE:
        "list[2 * n + 1 + external[i]] or false\n    local has_left" => "list[2 * n + 1 + external[i]] or nil\n    local has_left";
    what_is_due_next_is_not_known_after_a_delayed_job_is_replaced among UNIQUE:
        "if have_left_delayed then\n    queue.look_for_due()\n  end" => "";
    a_job_with_a_key_is_not_edited among UNIQUE_EDITED:
        "if new.priority ~= known_priority and queue.field_of(record, 'order') then" => "if new.priority ~= known_priority and queue.field_of(record, 'unique') then";
    a_key_is_kept_by_a_job_that_was_cancelled_when_it_was_recovered among UNIQUE_REQUESTED:
        "local to = cancelled[#cancelled] == ids[i] and 'ended' or" => "local to = cancelled[#cancelled] == ids[i] and 'waiting' or";
    a_job_that_is_over_starts among EXPIRY:
        "is_too_plain = is_over or (meta" => "is_too_plain = (meta";
    a_job_that_is_over_waits_for_ever among EXPIRY:
        "expired = queue.expire(256)" => "expired = 0";
    a_job_that_expired_is_not_counted among EXPIRY:
        "queue.count('expired', #cancelled)" => "";
    a_job_that_expired_seems_completed among EXPIRY:
        " or string.sub(outcome, 10) == '\\167expired'" => "";
    a_job_that_expired_ends_as_cancelled_by_an_operator among EXPIRY:
        "cmsgpack.pack('expired')" => "cmsgpack.pack({ cancelled = 'expired' })";
    a_job_that_has_started_expires among EXPIRY:
        "queue.forget_expiry(claimed.ids)" => "";
    a_job_that_bounced_never_expires among EXPIRY:
        "queue.expect_again(leaving)" => "";
    nobody_comes_for_a_job_that_expires among EXPIRY:
        "queue.arm(queue.number(meta.expiring))" => "";
    g8_a_job_that_was_cancelled_is_to_expire among EXPIRY:
        "queue.forget_expiry(cancelled)" => "";
    g8_a_job_that_was_removed_is_to_expire among EXPIRY:
        "queue.forget_expiry(removed)\nqueue.count" => "queue.count";
    an_expired_job_holds_others_back among EXPIRY:
        "if #leaving > 0 then\n    queue.leave(leaving)\n  end\n  return #ids" => "return #ids";
    a_job_that_was_snoozed_expires among EXPIRY_SNOOZED:
        "(counters[SNOOZES] ~= nil and not of_children) or #fields" => "#fields";
}
