//! Changing jobs of groups and orders that do not run.

use std::time::Duration;

use super::gates::{of_group, ordered, retry};
use super::{Rig, completed, on_both};
use crate::job::state::State;
use crate::policy::settings::QueueSettings;
use crate::store::edit::Edited;
use crate::store::enqueue::Due;

const MINUTE: Duration = Duration::from_secs(60);
const LATER: Option<Due> = Some(Due::After { ms: 60_000 });

/// It goes to the back of the priority that it gets, among the jobs of its group.
fn a_job_of_a_group_gets_another_priority(mut rig: Rig) {
    rig.set(QueueSettings::new().group_concurrency(1));
    let jobs = ["g-0", "g-1", "g-2", "g-3"].map(of_group);
    rig.enqueue(&jobs);
    assert_eq!(rig.edit("g-2", Some(1), None), Edited::Done);
    assert_eq!(rig.edit("g-1", Some(900), None), Edited::Done);
    assert_eq!(rig.job_state("g-2"), Some(State::Waiting));
    assert_eq!(rig.job_state("g-1"), Some(State::Blocked));
    let mut claimed = rig.claim_some(9);
    for id in ["g-2", "g-0", "g-3", "g-1"] {
        let job = claimed.pop().expect("one may run");
        assert_eq!(job.id.as_str(), id);
        claimed = rig.end(&job, completed(), 1);
    }
    rig.assert_no_gates();
}

fn a_job_of_a_group_is_put_off_and_the_next_one_goes_on(mut rig: Rig) {
    rig.enqueue(&["g-0", "g-1", "g-2"].map(of_group));
    assert_eq!(rig.edit("g-0", None, LATER), Edited::Done);
    assert_eq!(rig.edit("g-2", None, LATER), Edited::Done);
    for id in ["g-0", "g-2"] {
        assert_eq!(rig.job_state(id), Some(State::Delayed), "{id}");
    }
    assert_eq!(rig.claim_ids(9), ["g-1"]);
    assert_eq!(rig.edit("g-2", None, Some(Due::Now)), Edited::Done);
    assert_eq!(rig.claim_ids(9), ["g-2"]);
    rig.wait(MINUTE);
    assert_eq!(rig.claim_ids(9), ["g-0"]);
}

/// The jobs behind it wait for it, whenever it is due.
fn the_head_of_an_order_is_due_at_another_moment(mut rig: Rig) {
    rig.enqueue(&["k-0", "k-1", "k-2"].map(ordered));
    assert_eq!(rig.edit("k-0", None, LATER), Edited::Done);
    assert_eq!(rig.job_state("k-0"), Some(State::Delayed));
    assert!(rig.claim_ids(9).is_empty());
    rig.wait(MINUTE);
    let first = rig.claim_some(9).pop().unwrap();
    assert_eq!(first.id.as_str(), "k-0");
    assert!(rig.end(&first, retry(MINUTE), 9).is_empty());
    assert_eq!(rig.edit("k-0", None, Some(Due::Now)), Edited::Done);
    let first = rig.claim_some(9).pop().unwrap();
    assert_eq!(first.id.as_str(), "k-0");
    let second = rig.end(&first, completed(), 9).pop().unwrap();
    assert_eq!(second.id.as_str(), "k-1");
}

/// It keeps its place: one that is due later holds back those behind it.
fn a_job_within_an_order_is_due_at_another_moment(mut rig: Rig) {
    rig.enqueue(&["k-0", "k-1", "k-2"].map(ordered));
    assert_eq!(rig.edit("k-1", None, LATER), Edited::Done);
    assert_eq!(rig.job_state("k-1"), Some(State::Blocked));
    let first = rig.claim_some(9).pop().unwrap();
    assert!(rig.end(&first, completed(), 9).is_empty());
    assert_eq!(rig.job_state("k-1"), Some(State::Delayed));
    rig.wait(MINUTE);
    let second = rig.claim_some(9).pop().unwrap();
    assert_eq!(second.id.as_str(), "k-1");
    let third = rig.end(&second, completed(), 9).pop().unwrap();
    assert_eq!(third.id.as_str(), "k-2");
}

fn the_priority_of_an_ordered_job_stays(mut rig: Rig) {
    rig.enqueue(&["k-0", "k-1"].map(ordered));
    let before = rig.subject.dump();
    for id in ["k-0", "k-1"] {
        assert_eq!(rig.edit(id, Some(1), LATER), Edited::Ordered, "{id}");
    }
    assert_eq!(rig.subject.dump(), before);
    assert_eq!(rig.edit("k-1", Some(500), None), Edited::Done, "as it is");
}

on_both! {
    a_job_of_a_group_gets_another_priority,
    a_job_of_a_group_is_put_off_and_the_next_one_goes_on,
    the_head_of_an_order_is_due_at_another_moment,
    a_job_within_an_order_is_due_at_another_moment,
    the_priority_of_an_ordered_job_stays,
}
