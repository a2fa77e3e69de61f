//! Scripts broken on purpose: messages to other queues, drafts, feeds.

use super::{is_noticed, profile};

mutants! {
    what_was_taken_is_not_remembered among OUTBOX:
        "redis.call('HSET', key.sources, args.source, queue.whole(last))" => "";
    the_last_message_is_taken_again among OUTBOX:
        "args.positions[from] <= last do" => "args.positions[from] < last do";
    a_page_is_remembered_by_its_first_message among OUTBOX:
        "last = args.positions[from + taken - 1]" => "last = args.positions[from]";
    a_message_of_an_unknown_kind_is_passed_over among OUTBOX:
        "if taken > 0 then\n  last = args" => "taken = math.max(taken, #run)\nif taken > 0 then\n  last = args";
    what_is_for_others_is_deleted_as_well among OUTBOX:
        "'[' .. args.target .. '\\0', behind)" => "'-', behind)";
    one_message_too_many_is_deleted among OUTBOX:
        "queue.position_as_digits(args.position + 1)" => "queue.position_as_digits(args.position + 2)";
    positions_do_not_rise among OUTBOX:
        "last = math.max(last + 1, now_us)" => "last = math.max(last, now_us)";
    positions_go_back_with_the_clock among OUTBOX:
        "last = math.max(last + 1, now_us)" => "last = now_us + i";
    a_draft_loses_a_message_between_two_pages among OUTBOX:
        "queue.cut_draft(id, draft, n)" => "queue.cut_draft(id, draft, math.min(draft.total, n + 1))";
    a_draft_doubles_a_message_between_two_pages among OUTBOX:
        "queue.cut_draft(id, draft, n)" => "queue.cut_draft(id, draft, n < draft.total and n - 1 or n)";
    a_draft_ends_with_its_first_page among OUTBOX:
        "return 0, 'again'" => "return 1";
    a_draft_is_committed_in_part among OUTBOX:
        "or draft.total ~= args.total then" => "then";
    a_draft_that_was_committed_is_dropped among OUTBOX:
        "local is_done = not draft or draft.is_sent\n    if" => "local is_done = not draft\n    if";
    a_draft_is_committed_although_its_job_is_not_added among OUTBOX:
        "if position then\n  queue.flush_events()" => "if false then\n  queue.flush_events()";
    a_feed_begins_with_the_entry_that_was_last among FED:
        "args.positions[old + 1] <= stands do" => "args.positions[old + 1] < stands do";
    a_feed_does_not_move_the_position among FED:
        "queue.whole(last) .. ' ' .. args.token" => "queue.whole(args.positions[old + 1] or last) .. ' ' .. args.token";
    the_payloads_of_a_feed_are_those_of_other_jobs among FED:
        "external[position - skipped] = k - first_payload + 1" => "external[position - skipped] = k";
    a_feed_hides_what_the_queue_has_lost among FED:
        "not stands or stands < args.after" => "false";
    a_feed_that_is_repeated_tells_nothing among FED:
        "if token == args.token then" => "if false then";
}
