//! Scripts broken on purpose: dead letters.

use super::{is_noticed, profile};

mutants! {
    a_job_that_is_not_dead_is_purged among DEAD:
        "if redis.call('ZREM', key.dead, id) == 1 then\n    local" => "if redis.call('ZREM', key.dead, id) then\n    local";
    g8_a_purged_job_leaves_its_outcome_behind among DEAD:
        "queue.announce(purged)\n  queue.forget_ended(purged)" => "queue.announce(purged)\n  queue.forget(purged)";
    a_purged_job_is_not_told among DEAD:
        "queue.emit('removed', purged)" => "";
    a_purged_job_is_not_counted among DEAD:
        "queue.count('removed', #purged)" => "";
    a_key_is_kept_by_a_job_that_was_purged among DEAD:
        "if #leaving > 0 then\n  queue.leave(leaving)\nend\nqueue.forget_expiry(purged)" => "queue.forget_expiry(purged)";
    a_dead_job_is_edited_as_if_it_were_in_line among DEAD_EDITED:
        "state == 'dead' and args.rewrite and not args.priority and not args.due" => "state == 'dead' and args.rewrite";
    a_job_that_runs_is_edited_as_if_it_were_dead among DEAD_EDITED:
        "local is_dead = state == 'dead' and args.rewrite" => "local is_dead = args.rewrite";
    the_payload_of_a_dead_job_stays among DEAD_EDITED:
        "store(id, as_before, new.payload)\n    return false" => "return false";
}
