//! Scripts broken on purpose: the replies of a job.

use super::{is_noticed, profile};

mutants! {
    g2_no_receipt_check_for_replies among REPLIES:
        "if queue.refuse() then\n  return { 'lost', now_ms }\nend\nlocal counters = queue.read_counters(args.id)\nlocal before, bytes"
            => "local counters = queue.read_counters(args.id)\nlocal before, bytes";
    g8_replies_are_left_behind_by_their_job among REPLIES:
        "if #read > WITHOUT_REPLIES then" => "if false then";
    a_reply_that_is_sent_again_is_there_twice among REPLIES:
        "for i = before - args.first + 2, #ARGV - 1 do" => "for i = 1, #ARGV - 1 do";
    a_later_reply_of_a_number_replaces_the_first among REPLIES:
        "local replies, fields = before, {}\nfor i = before - args.first + 2," => "local replies, fields = args.first - 1, {}\nfor i = 1,";
    replies_have_gaps among REPLIES:
        "if args.first > before + 1 then" => "if false then";
    nobody_hears_of_a_reply among REPLIES:
        "if until_ms and tonumber(until_ms) > now_ms then" => "if false then";
    the_counters_of_a_job_are_lost_when_it_has_replies among REPLIES:
        "local counters = queue.read_counters(args.id)\nlocal before, bytes" => "local counters = { 0, 0, 0, 0 }\nlocal before, bytes";
    a_page_of_replies_has_no_end among REPLIES:
        "number < args.from + args.most and bytes < args.bytes do" => "bytes < args.bytes do";
    a_page_of_replies_is_as_large_as_it_likes among REPLIES:
        "number < args.from + args.most and bytes < args.bytes do" => "number < args.from + args.most do";
    the_end_is_told_before_the_last_reply among REPLIES:
        "if number > replies then" => "if true then";
    who_reads_replies_is_not_waited_for among REPLIES:
        "redis.call('ZADD', key.awaited, 'GT', now_ms + await_ms, id)" => "";
}
