//! Scripts broken on purpose: topics, and queues that are subscribed to them.

use super::{is_noticed, profile};

mutants! {
    an_event_is_published_twice among TOPICS:
        "local position = tonumber(known[i] or nil)" => "local position";
    every_event_is_told_to_be_new among TOPICS:
        "position and 0 or 1" => "1";
    positions_of_events_do_not_rise among TOPICS:
        "position = math.max(log.position + 1, now_us)" => "position = math.max(log.position + 1, now_us) + log.number % 2";
    what_is_young_is_dropped among TOPICS:
        "if position and position >= oldest_us and" => "if position and";
    a_log_has_no_bound_of_bytes among TOPICS:
        " and log.bytes <= args.keep_bytes then" => " then";
    a_log_forgets_nothing_of_ids among TOPICS:
        "redis.call('HDEL', key.published_ids, unpack(dropped))" => "";
    one_event_too_few_is_dropped among TOPICS:
        "'=', queue.whole(log.dropped + 1))" => "'=', queue.whole(log.dropped))";
    a_subscription_begins_behind_the_first_event among TOPICS:
        "position, number = position - 1, number - 1" => "";
    a_subscription_changes_its_queue among TOPICS:
        "if known.queue ~= args.queue then" => "if false then";
    two_subscriptions_have_one_number among TOPICS:
        "log.since = math.max(log.since + 1, now_us)" => "log.since = now_us";
    a_page_begins_with_what_was_taken among TOPICS:
        "largest, from = {}, 0, 0, queue.whole(args.after + 1)" => "largest, from = {}, 0, 0, queue.whole(args.after)";
    a_page_is_one_event_too_long among TOPICS:
        "if position and (#answer >= 2 * args.limit or" => "if position and (";
    a_removed_subscription_is_followed among TOPICS:
        "if not it or it.since ~= args.since then" => "if not it then";
    what_was_missed_is_told_again among TOPICS:
        "it.number = it.number + missed" => "";
    a_topic_that_lost_events_repeats_their_positions among TOPICS:
        "log.position = args.after" => "log.position = log.position";
    a_subscription_goes_back among TOPICS:
        "it.position = math.max(it.position, args.after)" => "it.position = args.after";
    a_queue_forgets_where_it_stands_with_a_topic among TOPICS:
        "redis.call('HSETNX', key.fed, source" => "redis.call('HSET', key.fed, source";
    an_old_subscription_comes_back among TOPICS:
        "if it and it.since > args.since then" => "if false then";
    a_topic_that_a_worker_does_not_want_is_given_to_it among TOPICS:
        "without[topic] = true" => "";
    a_worker_takes_all_topics_at_once among TOPICS:
        "is_free and taken < args.most)" => "is_free)";
    how_far_a_queue_is_is_not_known among TOPICS:
        "it.number = next_number - 1" => "";
    another_subscription_takes_a_topic_over among TOPICS:
        "if it and it.name ~= args.name then" => "if false then";
    an_old_subscription_goes_on_feeding among TOPICS:
        "redis.call('HDEL', key.fed, queue.source_of_topic(args.topic, it.since))" => "";
    two_workers_feed_a_queue among TOPICS:
        "local is_free = it.until_ms <= now_ms or" => "local is_free = it.until_ms >= now_ms or";
    a_hold_outlives_its_worker_when_the_clock_is_set_back among TOPICS:
        " or it.until_ms > now_ms + MISTAKE_MS" => "";
    a_feed_does_not_pass_over_what_is_not_wanted among TOPICS:
        "local last = args.upto or args.positions[args.jobs]" => "local last = args.positions[args.jobs] or args.upto";
    a_feed_of_nothing_moves_back among TOPICS:
        "if old == args.jobs and (not args.upto or stands and stands >= args.upto) then" => "if old == args.jobs and not args.upto then";
}
