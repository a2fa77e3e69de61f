//! Scripts broken on purpose: which payloads in a store jobs still have.

use super::{is_noticed, profile};

mutants! {
    no_job_has_its_payload among TICKETS:
        "if records[i] and string.find(records[i], ticket[2], 1, true) then" => "if false then";
    every_job_has_every_payload among TICKETS:
        "if records[i] and string.find(records[i], ticket[2], 1, true) then" => "if records[i] then";
    another_payload_is_told among TICKETS:
        "answer[#answer + 1] = i - 1" => "answer[#answer + 1] = i";
}
