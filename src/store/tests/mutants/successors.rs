//! Scripts broken on purpose: successors.

use super::{is_noticed, profile};

mutants! {
    a_successor_waits_for_ever among LATEST:
        "following[#free] = successor" => "";
    a_key_has_several_successors among LATEST:
        "owner and how and owner.successor and queue.successor(owner.successor) or owner" => "owner";
    a_successor_takes_the_key_at_once among LATEST:
        "if name and options[positions[i]].follows then" => "if false then";
    a_successor_that_has_ended_is_still_named among LATEST:
        "elseif successor == ids[n] then" => "elseif false then";
    a_successor_that_runs_is_still_named among LATEST:
        "redis.call('HDEL', key.unique, name .. ' next')\n  local job" => "local job";
    a_successor_runs_without_its_key among LATEST:
        "queue.give_key(name, id, queue.field_of(job.record, 'unique_until'))\n  go_on(job" => "go_on(job";
    a_replaced_successor_takes_the_key among LATEST:
        "if not job.is_successor then\n    local name" => "if true then\n    local name";
    a_successor_that_is_due_later_runs_at_once among LATEST:
        "local is_due = due_ms <= now_ms" => "local is_due = true";
    a_successor_comes_to_its_gate_before_its_time among LATEST:
        "if option and option.waits then" => "if false then";
    a_job_waits_for_a_key_that_is_remembered among LATEST:
        "how == 'latest' and has_begun and not job.until_ms then" => "how == 'latest' and has_begun then";
    a_successor_gets_in_line_when_it_is_edited among LATEST_EDITED:
        "if job.is_successor or is_untold" => "if is_untold";
    a_lost_successor_runs_beside_the_other_job among LATEST_LOST:
        "if not runs and not has_ended and queue.is_successor(id, record) then" => "if false then";
    a_successor_is_taken_for_lost among LATEST_LOST:
        "state ~= 'blocked' or queue.is_successor(id, record) or" => "state ~= 'blocked' or";
}
