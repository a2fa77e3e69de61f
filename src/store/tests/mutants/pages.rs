//! Scripts broken on purpose: pages in both directions, and of the jobs that are wanted.

use super::{is_noticed, profile};

mutants! {
    a_job_that_has_moved_is_removed among PAGES:
        "elseif state and args.only_in and" => "elseif false and";
    the_page_before_begins_with_the_job_after_it among WANTED:
        "rank_of(part, place, false)" => "rank_of(part, place, true)";
    the_last_jobs_come_in_the_first_order among WANTED:
        "for i = #members - 1, 1, -2 do" => "for i = 1, #members, 2 do";
    what_is_no_job_is_counted_from_the_end among WANTED:
        "return queue.active_count()" => "return redis.call('ZCARD', part)";
    jobs_that_are_not_wanted_are_listed among WANTED:
        "if wanted and args.only then" => "if false then";
    a_page_goes_on_behind_a_job_that_was_not_answered among WANTED:
        "if jobs == args.limit or" => "if";
    jobs_of_other_names_are_wanted among WANTED:
        "or only.name and queue.name_in(record) ~= only.name" => "";
    jobs_of_other_groups_are_wanted among WANTED:
        "or only.group and queue.field_of(record, 'group') ~= only.group" => "";
    the_age_of_a_dead_job_counts_from_its_beginning among WANTED:
        "if job.part == key.completed or job.part == key.dead then" => "if job.part == key.completed then";
    the_age_of_a_kept_job_counts_from_its_end_of_keeping among WANTED:
        "elseif job.part == key.kept then" => "elseif job.part == key.kept and false then";
    too_young_is_old_enough among WANTED:
        "only.older_ms and age_ms < only.older_ms" => "only.older_ms and false";
    too_old_is_young_enough among WANTED:
        "only.newer_ms and age_ms >= only.newer_ms" => "only.newer_ms and false";
    too_few_failures_are_enough among WANTED:
        "counters[FAILED] < only.failed" => "false";
    any_error_has_the_text among WANTED:
        "string.find(string.lower(error), text, 1, true) ~= nil" => "true";
    upper_case_is_another_letter among WANTED:
        "string.find(string.lower(error), text, 1, true) ~= nil" => "string.find(error, text, 1, true) ~= nil";
    any_id_has_the_prefix among WANTED:
        "if only.id_prefix and string.sub(id, 1, #only.id_prefix) ~= only.id_prefix\n    or only.name" => "if only.name";
    the_first_error_counts among WANTED:
        "redis.call('HGET', key.attempts, fields[#fields]) or ''" => "redis.call('HGET', key.attempts, fields[1]) or ''";
}
