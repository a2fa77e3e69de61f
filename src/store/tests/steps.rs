//! Durable steps: what is promised of them.

mod edited;
pub(super) mod operations;
mod replaced;

use std::time::Duration;

use super::{Rig, completed, job, on_both};
use crate::id::{JobId, Receipt};
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Outcome};
use crate::job::record::EncodedRecord;
use crate::job::state::State;
use crate::policy::steps::{StepKind, StoredStep};
use crate::store::advance::Claimed;
use crate::store::cancel::Cancel;
use crate::store::enqueue::NewJob;
use crate::store::remove::Remove;
use crate::store::replay::Replay;
use crate::store::signal::{Signal, Signalled};
use crate::store::step::{Step, Stored, What};
use crate::store::steps::{Page, Steps};

const MINUTE: Duration = Duration::from_secs(60);
const MINUTE_MS: u64 = 60_000;

/// A call for the register.
pub(super) fn three<'a>(id: &'a JobId, receipt: &'a Receipt, kind: StepKind) -> Step<'a> {
    let what = What::Step {
        number: 3,
        kind,
        name: "answer",
        after_ms: None,
    };
    Step {
        id,
        receipt,
        what,
        value: b"x",
    }
}

fn suspended(steps: &[u32]) -> Outcome {
    Outcome::Suspended {
        after: None,
        steps: steps.to_vec(),
    }
}

fn failed() -> Outcome {
    let entry = AttemptEntry::new(AttemptKind::Error, "broken".into());
    let after = MINUTE;
    Outcome::Retry { after, entry }
}

/// A job with one step of each kind but those that end a wait, and a checkpoint.
pub(super) fn suspend_for_an_answer(rig: &mut Rig, claimed: &Claimed) {
    rig.store_step(claimed, 1, StepKind::Done, None, b"output");
    rig.store_step(claimed, 2, StepKind::Sleep, Some(MINUTE_MS), b"");
    rig.waits(claimed, 3, None);
    let (id, receipt) = (&claimed.id, &claimed.receipt);
    let (what, value) = (What::Checkpoint, &b"cursor"[..]);
    rig.call(&Step {
        id,
        receipt,
        what,
        value,
    });
    let ended = super::settlement(id, receipt, suspended(&[3]));
    rig.advance(&[ended], 0);
}

impl Rig {
    fn claimed(&mut self, options: &JobOptions) -> Claimed {
        let record = EncodedRecord::new("test", vec![0xc0], options, Vec::new());
        self.enqueue(&[NewJob { record, ..job("a") }]);
        self.traits = true;
        self.claim_one().unwrap()
    }

    fn store_step(
        &mut self,
        claimed: &Claimed,
        number: u32,
        kind: StepKind,
        after_ms: Option<u64>,
        value: &[u8],
    ) -> Stored {
        let name = &format!("step {number}");
        let what = What::Step {
            number,
            kind,
            name,
            after_ms,
        };
        let (id, receipt) = (&claimed.id, &claimed.receipt);
        self.call(&Step {
            id,
            receipt,
            what,
            value,
        })
    }

    fn waits(&mut self, claimed: &Claimed, number: u32, after_ms: Option<u64>) {
        let stored = self.store_step(claimed, number, StepKind::Wait, after_ms, b"");
        assert!(matches!(stored, Stored::Yes { .. }), "{stored:?}");
    }

    fn steps(&mut self) -> Page {
        self.some_steps(1, 1 << 20, None)
    }

    fn some_steps(&mut self, from: u32, bytes: usize, cut: Option<usize>) -> Page {
        let id = "a";
        self.call(&Steps {
            id,
            from,
            bytes,
            cut,
        })
    }

    fn stored_step(&mut self, number: u32) -> StoredStep {
        let steps = self.steps().steps;
        let found = steps.iter().find(|(known, ..)| *known == number);
        StoredStep::decode(&found.unwrap().1).unwrap()
    }

    fn signal(&mut self, number: u32, value: &[u8]) -> Signalled {
        let (id, name) = (&JobId::stored("a"), &format!("step {number}"));
        self.call(&Signal { id, name, value })
    }

    fn state_of_a(&mut self) -> Option<State> {
        self.state(&JobId::stored("a"))
    }

    fn ms(&self) -> u64 {
        self.now_us / 1_000
    }
}

fn the_first_of_a_number_stays_and_is_read_back(mut rig: Rig) {
    let claimed = rig.claimed(&JobOptions::new());
    assert_eq!(rig.steps().last, 0);
    let at_ms = rig.ms();
    let stored = rig.store_step(&claimed, 2, StepKind::Done, None, b"two \0");
    assert_eq!(stored, Stored::Yes { now_ms: at_ms });
    rig.wait(MINUTE);
    let before = rig.subject.dump();
    let again = rig.store_step(&claimed, 2, StepKind::Done, None, b"other");
    let there = format!("done {at_ms} 0 step%202 two \0").into_bytes();
    let now_ms = rig.ms();
    let stored = there.clone();
    assert_eq!(again, Stored::There { now_ms, stored });
    assert_eq!(rig.subject.dump(), before);
    rig.store_step(&claimed, 1, StepKind::Sleep, Some(MINUTE_MS), b"");
    let page = rig.steps();
    assert_eq!((page.last, page.next, page.steps.len()), (2, None, 2));
    let size = there.len() as u64;
    assert_eq!(page.steps[1], (2, there, size));
    let sleeps = rig.stored_step(1);
    assert_eq!(sleeps.due_ms, Some(now_ms + MINUTE_MS));
    // Page by page, each with one step at least.
    let page = rig.some_steps(1, 1, None);
    assert_eq!((page.steps.len(), page.next), (1, Some(2)));
    let page = rig.some_steps(2, 1, None);
    assert_eq!((page.steps.len(), page.next), (1, None));
}

fn only_the_beginning_of_values_is_read_if_that_is_enough(mut rig: Rig) {
    let claimed = rig.claimed(&JobOptions::new());
    let at_ms = rig.ms();
    for number in [1, 2] {
        rig.store_step(&claimed, number, StepKind::Done, None, &[b'x'; 3_000]);
    }
    let (id, receipt) = (&claimed.id, &claimed.receipt);
    let (what, value) = (What::Checkpoint, &[b'c'; 2_000][..]);
    rig.call(&Step {
        id,
        receipt,
        what,
        value,
    });
    let head = format!("done {at_ms} 0 step%201 ");
    let cut = head.len() + 2;
    let page = rig.some_steps(1, 4_000, Some(cut));
    // What counts is what is sent.
    assert_eq!((page.steps.len(), page.next), (2, None));
    let (_, sent, size) = &page.steps[0];
    assert_eq!(sent, &format!("{head}xx").into_bytes());
    assert_eq!(*size, head.len() as u64 + 3_000);
    assert_eq!(page.cursor, Some(vec![b'c'; cut]));
    assert_eq!(page.cursor_size, 2_000);
    let page = rig.some_steps(1, cut, Some(cut));
    assert_eq!((page.steps.len(), page.next), (1, Some(2)));
}

fn g2_who_does_not_hold_the_job_stores_no_step(mut rig: Rig) {
    let mut claimed = rig.claimed(&JobOptions::new());
    let receipt = claimed.receipt.clone();
    claimed.receipt = Receipt::new(&format!("1{}", receipt.as_str()));
    let stale = rig.store_step(&claimed, 1, StepKind::Done, None, b"x");
    assert_eq!(stale, Stored::LeaseLost);
    claimed.receipt = receipt;
    rig.ends(&claimed, completed());
    let late = rig.store_step(&claimed, 1, StepKind::Done, None, b"x");
    assert_eq!(late, Stored::LeaseLost);
    assert_eq!((rig.steps().steps.len(), rig.total("refused")), (0, 2));
}

/// Whatever becomes of the job, as long as it is there.
fn steps_and_the_checkpoint_stay_with_their_job_and_go_with_it(mut rig: Rig) {
    let claimed = rig.claimed(&JobOptions::new());
    let (id, receipt) = (&claimed.id, &claimed.receipt);
    for value in [b"early", b"later"] {
        let what = What::Checkpoint;
        let stored = rig.call(&Step {
            id,
            receipt,
            what,
            value,
        });
        assert!(matches!(stored, Stored::Yes { .. }));
    }
    assert_eq!(rig.steps().last, 0);
    rig.store_step(&claimed, 1, StepKind::Done, None, b"x");
    rig.waits(&claimed, 2, None);
    let entry = AttemptEntry::new(AttemptKind::Error, "broken".into());
    let reason = DeadReason::Declared;
    rig.ends(&claimed, Outcome::Dead { reason, entry });
    let ids = std::slice::from_ref(id);
    rig.call(&Replay { ids });
    let again = rig.claim_one().unwrap();
    let page = rig.steps();
    assert_eq!((page.last, page.steps.len()), (2, 2));
    assert_eq!(page.cursor.as_deref(), Some(&b"later"[..]));
    assert_eq!(page.request, None);
    rig.call(&Cancel {
        ids,
        reason: "moot",
    });
    assert!(rig.steps().request.is_some());
    rig.ends(&again, completed());
    assert_eq!(rig.steps().steps.len(), 2, "they are its history");
    rig.call(&Remove::of(ids));
    assert_eq!(rig.size("attempts"), 0);
    rig.check_whole(id);
}

fn a_job_that_waits_is_put_aside_and_burns_nothing(mut rig: Rig) {
    let claimed = rig.claimed(&JobOptions::new());
    rig.waits(&claimed, 1, None);
    rig.ends(&claimed, suspended(&[1]));
    assert_eq!(rig.state_of_a(), Some(State::Blocked));
    let events = rig.subject.dump();
    let last = events.part("events").last().unwrap().1;
    assert_eq!(last, b"suspended=a:0 ");
    rig.wait(1_000 * MINUTE);
    assert!(rig.claim_one().is_none());
    assert_eq!(rig.signal(1, b"yes"), Signalled::Yes);
    assert_eq!(rig.state_of_a(), Some(State::Waiting));
    let answered = rig.stored_step(1);
    assert_eq!(answered.kind, StepKind::Signal);
    assert_eq!((answered.at_ms, answered.value), (rig.ms(), b"yes".into()));
    assert_eq!(rig.signal(1, b"no"), Signalled::Already);
    assert_eq!(rig.stored_step(1).value, b"yes");
    let again = rig.claim_one().unwrap();
    let counters = again.counters.clone().unwrap();
    let counters: Vec<u64> = crate::codec::decode_plain("counters", &counters).unwrap();
    assert_eq!(counters, [0, 0, 0, 0, 0, 0, 0, 1]);
    rig.ends(&again, completed());
    assert_eq!(rig.signal(1, b"no"), Signalled::Ended("completed".into()));
    rig.check_whole(&again.id);
}

fn a_job_sleeps_until_it_is_due_and_a_wait_ends_with_its_time(mut rig: Rig) {
    let claimed = rig.claimed(&JobOptions::new());
    let due_ms = rig.ms() + MINUTE_MS;
    rig.store_step(&claimed, 1, StepKind::Sleep, Some(MINUTE_MS), b"");
    rig.waits(&claimed, 2, Some(2 * MINUTE_MS));
    rig.ends(&claimed, suspended(&[2, 1]));
    assert_eq!(rig.state_of_a(), Some(State::Delayed));
    let events = rig.subject.dump();
    let last = events.part("events").last().unwrap().1;
    assert_eq!(last, format!("suspended=a:{due_ms} ").as_bytes());
    rig.wait(MINUTE);
    let again = rig.claim_one().unwrap();
    // Not before its time.
    let stored = rig.store_step(&again, 2, StepKind::Over, None, b"");
    assert!(matches!(stored, Stored::There { .. }));
    rig.ends(&again, suspended(&[2]));
    rig.wait(MINUTE);
    let last = rig.claim_one().unwrap();
    for _ in 0..2 {
        rig.store_step(&last, 2, StepKind::Over, None, b"");
        assert_eq!(rig.stored_step(2).kind, StepKind::Over);
    }
    assert_eq!(rig.signal(2, b"late"), Signalled::NotWaiting);
    rig.ends(&last, completed());
}

/// In none of the orders in which the two can come a job is left waiting.
fn a_signal_that_comes_before_the_attempt_has_ended_is_not_lost(mut rig: Rig) {
    let claimed = rig.claimed(&JobOptions::new());
    rig.waits(&claimed, 1, None);
    assert_eq!(rig.signal(1, b"early"), Signalled::Yes);
    assert_eq!(rig.state_of_a(), Some(State::Active));
    rig.ends(&claimed, suspended(&[1]));
    assert_eq!(rig.state_of_a(), Some(State::Waiting));
    let now_ms = rig.ms();
    let events = rig.subject.dump();
    let last = events.part("events").last().unwrap().1;
    assert_eq!(last, format!("suspended=a:{now_ms} ").as_bytes());
    // One that came while the wait had no step is refused, and is to be sent again.
    let again = rig.claim_one().unwrap();
    assert_eq!(rig.signal(2, b"x"), Signalled::NotWaiting);
    // It may come after the time, as long as nobody has seen that.
    rig.waits(&again, 2, Some(MINUTE_MS));
    rig.ends(&again, suspended(&[2]));
    rig.wait(2 * MINUTE);
    let last = rig.claim_one().unwrap();
    assert_eq!(rig.signal(2, b"in time"), Signalled::Yes);
    let stored = rig.store_step(&last, 2, StepKind::Over, None, b"");
    assert!(matches!(stored, Stored::There { .. }));
    assert_eq!(rig.stored_step(2).value, b"in time");
}

/// It waits for its backoff.
fn a_signal_does_not_shorten_the_wait_for_another_attempt(mut rig: Rig) {
    let claimed = rig.claimed(&JobOptions::new());
    rig.waits(&claimed, 1, None);
    rig.ends(&claimed, failed());
    assert_eq!(rig.signal(1, b"x"), Signalled::Yes);
    assert_eq!(rig.state_of_a(), Some(State::Delayed));
    rig.wait(MINUTE);
    assert!(rig.claim_one().is_some());
}

/// Whichever of two is first.
fn a_signal_wakes_a_job_that_also_sleeps(mut rig: Rig) {
    let claimed = rig.claimed(&JobOptions::new());
    rig.waits(&claimed, 1, None);
    rig.store_step(&claimed, 2, StepKind::Sleep, Some(MINUTE_MS), b"");
    rig.ends(&claimed, suspended(&[1, 2]));
    assert_eq!(rig.state_of_a(), Some(State::Delayed));
    assert_eq!(rig.signal(1, b"x"), Signalled::Yes);
    assert_eq!(rig.state_of_a(), Some(State::Waiting));
    assert!(!rig.subject.dump().names("meta").contains("due"));
}

fn there_is_no_such_job(mut rig: Rig) {
    assert_eq!(rig.signal(1, b"x"), Signalled::Missing);
    rig.enqueue(&[job("a")]);
    assert_eq!(rig.signal(1, b"x"), Signalled::NotWaiting);
    assert_eq!(rig.size("attempts"), 0);
}

/// A group has room for the next while one of its jobs waits; an order stays in its order.
fn gates_hold_for_jobs_that_were_put_aside(mut rig: Rig) {
    for (options, goes_on) in [
        (JobOptions::new().group("g"), true),
        (JobOptions::new().ordered_by("o"), false),
    ] {
        let claimed = rig.claimed(&options);
        let record = EncodedRecord::new("test", vec![0xc0], &options, Vec::new());
        rig.enqueue(&[NewJob { record, ..job("b") }]);
        rig.waits(&claimed, 1, None);
        rig.ends(&claimed, suspended(&[1]));
        assert_eq!(rig.state_of_a(), Some(State::Blocked));
        let other = rig.claim_one();
        assert_eq!(other.is_some(), goes_on);
        if let Some(other) = other {
            rig.ends(&other, completed());
        }
        assert_eq!(rig.signal(1, b"x"), Signalled::Yes);
        let again = rig.claim_one().unwrap();
        assert_eq!(again.id.as_str(), "a");
        rig.ends(&again, completed());
        let ids = &[JobId::stored("a"), JobId::stored("b")];
        if let Some(other) = rig.claim_one() {
            rig.ends(&other, completed());
        }
        rig.call(&Remove::of(ids));
        rig.check_whole(&ids[0]);
    }
}

fn a_job_that_was_put_aside_can_be_cancelled_and_removed(mut rig: Rig) {
    for options in [
        JobOptions::new(),
        JobOptions::new().group("g"),
        JobOptions::new().ordered_by("o"),
    ] {
        for cancels in [true, false] {
            let claimed = rig.claimed(&options);
            rig.waits(&claimed, 1, None);
            rig.ends(&claimed, suspended(&[1]));
            let ids = std::slice::from_ref(&claimed.id);
            if cancels {
                let reason = "moot";
                assert_eq!(rig.call(&Cancel { ids, reason }).cancelled, ["a"]);
            }
            rig.call(&Remove::of(ids));
            assert!(!rig.subject.dump().names("meta").contains("blocked"));
            rig.check_whole(&claimed.id);
        }
    }
}

on_both!(
    the_first_of_a_number_stays_and_is_read_back,
    only_the_beginning_of_values_is_read_if_that_is_enough,
    g2_who_does_not_hold_the_job_stores_no_step,
    steps_and_the_checkpoint_stay_with_their_job_and_go_with_it,
    a_job_that_waits_is_put_aside_and_burns_nothing,
    a_job_sleeps_until_it_is_due_and_a_wait_ends_with_its_time,
    a_signal_that_comes_before_the_attempt_has_ended_is_not_lost,
    a_signal_does_not_shorten_the_wait_for_another_attempt,
    a_signal_wakes_a_job_that_also_sleeps,
    there_is_no_such_job,
    gates_hold_for_jobs_that_were_put_aside,
    a_job_that_was_put_aside_can_be_cancelled_and_removed,
);
