//! Scripts broken on purpose: dead letters that are too old or too many.

use super::{is_noticed, profile};

mutants! {
    more_dead_letters_are_dropped_than_are_too_many among DEAD_CAPPED:
        "redis.call('ZCARD', key.dead) - at_most or 0" => "redis.call('ZCARD', key.dead) or 0";
    dead_letters_that_are_too_old_stay among DEAD_CAPPED:
        "      too_old = #ids\n" => "";
    dead_letters_that_are_young_enough_are_dropped among DEAD_CAPPED:
        "tonumber(page[i + 1]) <= now_ms - keep_ms" => "tonumber(page[i + 1]) <= now_ms";
    a_dead_job_that_halts_its_order_is_dropped among DEAD_CAPPED:
        "queue.field_of(record, 'on_failure') == 'halt' or queue.holds_its_parent" => "queue.holds_its_parent";
    g8_a_dead_letter_that_is_dropped_leaves_something_behind among DEAD_CAPPED:
        "redis.call('ZREM', key.dead, unpack(gone))\n    queue.forget_ended(gone)" => "redis.call('ZREM', key.dead, unpack(gone))\n    queue.forget(gone)";
    a_dead_letter_that_is_dropped_is_not_counted among DEAD_CAPPED:
        "queue.count('dead_dropped', #gone)" => "";
}
