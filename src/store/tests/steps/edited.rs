//! Jobs that wait for a signal or sleep, and are changed meanwhile: what is promised of them.

use super::*;
use crate::store::edit::Edited;
use crate::store::enqueue::Due;

const LATER: Option<Due> = Some(Due::After { ms: MINUTE_MS });

fn each_gate() -> [JobOptions; 3] {
    [
        JobOptions::new(),
        JobOptions::new().group("g"),
        JobOptions::new().ordered_by("o"),
    ]
}

impl Rig {
    /// Job `a` waits for a signal, so long at most.
    fn waits_for(&mut self, options: &JobOptions, after_ms: Option<u64>) {
        let claimed = self.claimed(options);
        self.waits(&claimed, 1, after_ms);
        self.ends(&claimed, suspended(&[1]));
    }

    fn tell_and_end(&mut self) {
        assert_eq!(self.signal(1, b"x"), Signalled::Yes);
        let again = self.claim_one().unwrap();
        self.ends(&again, completed());
        let ids = std::slice::from_ref(&again.id);
        self.call(&Remove::of(ids));
        assert!(!self.subject.dump().names("meta").contains("blocked"));
        self.check_whole(&again.id);
    }
}

fn another_moment_counts_and_the_signal_still_wakes_the_job(mut rig: Rig) {
    for options in each_gate() {
        for after_ms in [None, Some(2 * MINUTE_MS)] {
            rig.waits_for(&options, after_ms);
            assert_eq!(rig.edit("a", None, LATER), Edited::Done);
            assert_eq!(rig.state_of_a(), Some(State::Delayed));
            rig.tell_and_end();
            // Nobody tells it: it runs at the moment that it was given.
            rig.waits_for(&options, after_ms);
            assert_eq!(rig.edit("a", None, LATER), Edited::Done);
            assert!(rig.claim_one().is_none());
            rig.wait(MINUTE);
            let again = rig.claim_one().unwrap();
            rig.ends(&again, suspended(&[1]));
            rig.tell_and_end();
        }
    }
}

fn a_job_that_waits_can_be_told_to_go_on(mut rig: Rig) {
    for options in each_gate() {
        for after_ms in [None, Some(2 * MINUTE_MS)] {
            rig.waits_for(&options, after_ms);
            assert_eq!(rig.edit("a", None, Some(Due::Now)), Edited::Done);
            assert_eq!(rig.state_of_a(), Some(State::Waiting));
            let again = rig.claim_one().unwrap();
            rig.ends(&again, suspended(&[1]));
            rig.tell_and_end();
        }
    }
}

fn another_priority_leaves_a_job_waiting(mut rig: Rig) {
    for options in &each_gate()[..2] {
        for (after_ms, state) in [(None, State::Blocked), (Some(MINUTE_MS), State::Delayed)] {
            rig.waits_for(options, after_ms);
            assert_eq!(rig.edit("a", Some(10), None), Edited::Done);
            assert_eq!(rig.state_of_a(), Some(state));
            assert!(rig.claim_one().is_none());
            rig.enqueue(&[job("b")]);
            assert_eq!(rig.signal(1, b"x"), Signalled::Yes);
            let first = rig.claim_one().unwrap();
            assert_eq!(first.id.as_str(), "a", "it is more urgent");
            rig.ends(&first, completed());
            let other = rig.claim_one().unwrap();
            rig.ends(&other, completed());
            let ids = &[first.id, other.id];
            rig.call(&Remove::of(ids));
            rig.check_whole(&ids[0]);
        }
    }
}

on_both!(
    another_moment_counts_and_the_signal_still_wakes_the_job,
    a_job_that_waits_can_be_told_to_go_on,
    another_priority_leaves_a_job_waiting,
);
