//! Scripts broken on purpose: dead letters.

use super::{is_noticed, profile};

mutants! {
    a_job_that_is_not_dead_is_removed_with_the_dead_ones among DEAD:
        "elseif state and args.only_in and" => "elseif false and";
    g8_a_removed_job_leaves_its_outcome_behind among DEAD:
        "queue.announce(removed)\n  queue.forget_ended(removed)" => "queue.announce(removed)\n  queue.forget(removed)";
    a_dead_job_that_is_removed_is_not_told among DEAD:
        "queue.emit('removed', removed)" => "";
    a_removed_job_is_not_counted among DEAD:
        "queue.count('removed', #removed)" => "";
    a_key_is_kept_by_a_job_that_was_removed among DEAD:
        "if #leaving > 0 then\n  queue.leave(leaving)\nend\nqueue.forget_expiry(removed)" => "queue.forget_expiry(removed)";
    a_dead_job_is_edited_as_if_it_were_in_line among DEAD_EDITED:
        "state == 'dead' and args.rewrite and not args.priority and not args.due" => "state == 'dead' and args.rewrite";
    a_job_that_runs_is_edited_as_if_it_were_dead among DEAD_EDITED:
        "local is_dead = state == 'dead' and args.rewrite" => "local is_dead = args.rewrite";
    the_payload_of_a_dead_job_stays among DEAD_EDITED:
        "store(id, as_before, new.payload)\n    return false" => "return false";
    what_is_there_is_replaced_by_an_import among IMPORTED:
        "if redis.call('HEXISTS', key.jobs, job.id) == 1 then" => "if false then";
    what_is_imported_has_its_payload_twice_or_nowhere among IMPORTED:
        "version = version + EXTERNAL_PAYLOAD" => "";
    what_is_imported_has_died_in_the_future among IMPORTED:
        "math.min(job.died_ms, now_ms)" => "job.died_ms";
    what_is_imported_has_lost_its_attempts among IMPORTED:
        "counters, unpack(attempts))" => "counters)";
    what_is_imported_is_not_told among IMPORTED:
        "queue.emit('dead', tokens)\nqueue.flush_events()\nqueue.save_meta()\nreturn { 'imported'" => "queue.flush_events()\nqueue.save_meta()\nreturn { 'imported'";
    what_is_imported_has_another_priority among IMPORTED:
        "queue.first_places({ job })" => "queue.first_places({ {} })";
    a_step_waits_for_a_child_that_was_not_imported among IMPORTED:
        "queue.tell_step(parent, child.step, child.number, true, false, told)" => "";
    what_is_imported_waits_for_children_elsewhere among IMPORTED:
        "if may_end and not is_here and (is_near or far) then" => "if may_end and not is_here and is_near then";
    audit_entries_have_one_number among IMPORTED:
        "queue.whole(number + 1) .. '-0'" => "'1-*'";
    the_page_of_the_audit_begins_with_the_one_before among IMPORTED:
        "args.before - 1" => "args.before";
}
