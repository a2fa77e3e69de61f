//! Scripts broken on purpose: the job that has waited for longest.

use super::{is_noticed, profile};

mutants! {
    only_one_priority_is_looked_at among OLDEST:
        "up_to = string.format('(%d', priority * STEP - STEP / 2)" => "up_to = '-inf'";
    more_priorities_are_looked_at_than_was_said among OLDEST:
        "for _ = 1, args.priorities do" => "for _ = 1, 1024 do";
    what_came_to_the_front_is_not_looked_at among OLDEST:
        "add(redis.call('ZREVRANGEBYSCORE', key.waiting, string.format('(%d', first), '-inf', 'LIMIT', '0', '1'))" => "";
    suspects_are_not_looked_at among OLDEST:
        "add(redis.call('ZRANGE', key.suspects, '0', '0'))" => "";
    what_was_handed_back_is_not_looked_at among OLDEST_UNLIKE:
        "add(redis.call('ZRANGE', key.unhandled, '0', '0'))" => "";
    the_youngest_is_taken_for_the_oldest among OLDEST:
        "ms < oldest_ms or" => "ms > oldest_ms or";
}
