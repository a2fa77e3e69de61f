//! Jobs that have steps, and duplicates with their unique key: what is promised of them.

use super::*;
use crate::policy::unique::{OnDuplicate, Unique};
use crate::store::tests::unique::{met, payload, says};

fn duplicate(how: OnDuplicate, id: &str) -> (NewJob, JobOptions) {
    let options = JobOptions::new().unique(Unique::by("k").on_duplicate(how));
    let new = NewJob {
        due: crate::store::enqueue::Due::After { ms: 1_000 },
        ..says(2, job(id), options.clone())
    };
    (new, options)
}

impl Rig {
    /// Ends job `a`, and whatever runs after it.
    fn empty(&mut self) {
        self.call(&Remove::of(&[JobId::stored("a"), JobId::stored("b")]));
        self.check_whole(&JobId::stored("a"));
    }
}

/// They are of its payload. It waits for its next attempt, sleeps, or waits for a signal.
fn a_job_that_has_steps_is_not_replaced(mut rig: Rig) {
    for how in [OnDuplicate::Replace, OnDuplicate::Debounce] {
        for outcome in [failed(), suspended(&[1]), suspended(&[2])] {
            let (new, options) = duplicate(how, "b");
            let claimed = rig.claimed(&options);
            rig.waits(&claimed, 1, None);
            rig.store_step(&claimed, 2, StepKind::Sleep, Some(MINUTE_MS), b"");
            rig.ends(&claimed, outcome);
            let before = payload(&mut rig, "a");
            assert_eq!(met(&mut rig, &[new]), [":a"]);
            assert_eq!(payload(&mut rig, "a"), before);
            assert_eq!(rig.total("replaced"), 0);
            rig.empty();
        }
    }
}

fn a_job_that_has_a_checkpoint_is_not_replaced(mut rig: Rig) {
    let (new, options) = duplicate(OnDuplicate::Replace, "b");
    let claimed = rig.claimed(&options);
    let (id, receipt) = (&claimed.id, &claimed.receipt);
    let (what, value) = (What::Checkpoint, &b"far"[..]);
    rig.call(&Step {
        id,
        receipt,
        what,
        value,
    });
    rig.ends(&claimed, failed());
    assert_eq!(met(&mut rig, &[new]), [":a"]);
}

/// Its last payload runs after it, as after a job that runs.
fn the_latest_follows_a_job_that_has_steps(mut rig: Rig) {
    let (new, options) = duplicate(OnDuplicate::KeepLatest, "b");
    let claimed = rig.claimed(&options);
    rig.waits(&claimed, 1, None);
    rig.ends(&claimed, suspended(&[1]));
    assert_eq!(met(&mut rig, &[new]), ["b"]);
    let (third, _) = duplicate(OnDuplicate::KeepLatest, "c");
    assert_eq!(met(&mut rig, &[third]), ["~b"]);
    rig.wait(MINUTE);
    assert!(rig.claim_one().is_none());
    assert_eq!(rig.signal(1, b"x"), Signalled::Yes);
    let again = rig.claim_one().unwrap();
    assert_eq!(again.id.as_str(), "a");
    rig.ends(&again, completed());
    assert_eq!(rig.claim_one().unwrap().id.as_str(), "b");
}

on_both!(
    a_job_that_has_steps_is_not_replaced,
    a_job_that_has_a_checkpoint_is_not_replaced,
    the_latest_follows_a_job_that_has_steps,
);
