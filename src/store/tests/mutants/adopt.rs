//! Scripts broken on purpose: jobs that come from another queue.

use super::{is_noticed, profile};

mutants! {
    what_is_there_is_replaced_by_a_job_from_elsewhere among ADOPTED:
        "if seen[job.id] or redis.call('HEXISTS', key.jobs, job.id) == 1 then\n    there" => "if seen[job.id] then\n    there";
    a_job_from_elsewhere_takes_the_key_of_another_one among ADOPTED:
        "return name and (keys_taken[name] or queue.owner_of_key(name))" => "return name and keys_taken[name]";
    two_jobs_from_elsewhere_have_one_key among ADOPTED:
        "return name and (keys_taken[name] or queue.owner_of_key(name))" => "return name and queue.owner_of_key(name)";
    a_job_from_elsewhere_is_due_now among ADOPTED:
        "at_ms = job.at_ms, priority = job.priority, traits = job.traits or nil" => "priority = job.priority, traits = job.traits or nil";
    a_job_from_elsewhere_has_the_default_priority among ADOPTED:
        "at_ms = job.at_ms, priority = job.priority, traits = job.traits or nil" => "at_ms = job.at_ms, traits = job.traits or nil";
    a_job_from_elsewhere_was_enqueued_now among ADOPTED:
        "record = string.sub(record, 1, 1) .. queue.stamp(job.enqueued_ms) .. string.sub(record, 11)" => "";
    a_job_from_elsewhere_has_lost_its_attempts among ADOPTED:
        "redis.call('HSET', key.attempts, job.id, job.counters, unpack(job.attempts))" => "redis.call('HSET', key.attempts, job.id, job.counters)";
    a_job_from_elsewhere_expires_though_it_has_begun among ADOPTED:
        "queue.forget_expiry(adopted)" => "";
    a_job_from_elsewhere_never_expires among ADOPTED:
        "queue.expect_first_start(job.id, record)" => "";
}
