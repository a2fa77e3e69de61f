//! Every step from every state, compared with the table in `job/state.rs`.

use std::time::Duration;

use super::{Rig, completed, job, on_both, settlement, with};
use crate::id::{JobId, Receipt};
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Outcome};
use crate::job::state::{Place, State, Step};
use crate::job::traits::EndTraits;
use crate::policy::retention::Retention;
use crate::policy::settings::QueueSettings;
use crate::store::enqueue::Due;
use crate::store::extend::Extend;
use crate::store::progress::{Progress, Stored};
use crate::store::promote::Promote;
use crate::store::recover::{Doubt, Recover, Recovered};
use crate::store::remove::Remove;
use crate::store::replay::Replay;
use crate::store::trim::Trim;

const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(2);
const PAST_SHORT: Duration = Duration::from_millis(10);

fn entry() -> AttemptEntry {
    AttemptEntry::new(AttemptKind::Error, "broken".into())
}

fn outcome_of(step: Step) -> Option<Outcome> {
    Some(match step {
        Step::Complete => completed(),
        Step::Cancel => Outcome::Cancelled("moot".into()),
        Step::Retry => Outcome::Retry {
            after: LONG,
            entry: entry(),
        },
        Step::Snooze => Outcome::Snoozed { after: LONG },
        Step::Bounce => Outcome::Bounced {
            after: LONG,
            entry: entry(),
            name: None,
        },
        Step::HandBack => Outcome::Bounced {
            after: LONG,
            entry: entry(),
            name: Some("other".to_owned()),
        },
        Step::Die => Outcome::Dead {
            reason: DeadReason::Declared,
            entry: entry(),
        },
        Step::Release => Outcome::Released,
        _ => return None,
    })
}

impl Rig {
    /// Brings a new job into `state`, such that `step` finds its moment has come; gives the
    /// last receipt the job had.
    fn bring(&mut self, id: &JobId, state: State, step: Step) -> Receipt {
        let mut new = job(id.as_str());
        if state == State::Delayed {
            let wait = if step == Step::Promote { SHORT } else { LONG };
            new.due = Due::After {
                ms: wait.as_millis() as u64,
            };
        }
        if state == State::Blocked {
            let ordered = |id: &str| with(id, &JobOptions::new().ordered_by("key"));
            (self.traits, self.lease_ms) = (true, 60_000);
            self.enqueue(&[ordered("before")]);
            let before = self.claim_one().expect("the first of its key is in line");
            self.before = Some(before.receipt);
            new = ordered(id.as_str());
        }
        let short_lease = matches!(step, Step::Recover | Step::Poison);
        self.lease_ms = if short_lease { 2 } else { 60_000 };
        let keep = Retention::For(if step == Step::Trim { SHORT } else { LONG });
        let max_stalls = if step == Step::Poison { 0 } else { 3 };
        self.set(
            QueueSettings::new()
                .keep_completed(keep)
                .max_stalls(max_stalls),
        );
        self.enqueue(&[new]);
        let mut receipt = Receipt::new("1 2 nobody");
        if !matches!(state, State::Waiting | State::Blocked | State::Delayed) {
            receipt = self.claim_one().expect("the job waits").receipt;
        }
        match state {
            State::Completed => assert!(self.settle(id, &receipt, completed())),
            State::Cancelled => {
                let cancelled = outcome_of(Step::Cancel).unwrap();
                assert!(self.settle(id, &receipt, cancelled));
            }
            State::Dead => {
                let dead = outcome_of(Step::Die).unwrap();
                assert!(self.settle(id, &receipt, dead));
            }
            _ => {}
        }
        self.wait(PAST_SHORT);
        receipt
    }

    /// Tries the step; whether it claims to have done it.
    fn step(&mut self, id: &JobId, receipt: &Receipt, step: Step) -> bool {
        let ids = std::slice::from_ref(id);
        match step {
            Step::Promote => {
                let verb = Promote {
                    limit: 10,
                    worker: "worker",
                    hold: true,
                };
                self.call(&verb).moved == 1
            }
            Step::Admit => self.before.take().is_some_and(|receipt| {
                let mut before = settlement(&JobId::stored("before"), &receipt, completed());
                before.traits = EndTraits::Others;
                self.advance(&[before], 0).refused.is_empty()
            }),
            Step::Claim => self.claim_one().is_some(),
            Step::Extend => {
                let leases = &[(id.clone(), receipt.clone())];
                let lease_ms = 60_000;
                self.call(&Extend { leases, lease_ms }).lost.is_empty()
            }
            Step::Progress => {
                let value = b"\x01";
                self.call(&Progress { id, receipt, value }) == Stored::Yes
            }
            Step::Recover | Step::Poison => self.recover() == 1,
            Step::Trim => {
                let verb = Trim {
                    limit: 10,
                    lane_ttl_ms: 60_000,
                    lanes_cursor: "0",
                };
                self.call(&verb).dropped == 1
            }
            Step::Replay => self.call(&Replay { ids }).replayed.len() == 1,
            Step::Remove => self.call(&Remove::of(ids)).removed.len() == 1,
            _ => {
                let outcome = outcome_of(step).expect("every other step settles");
                self.settle(id, receipt, outcome)
            }
        }
    }

    fn recover(&mut self) -> usize {
        let mut expected_ms = 0;
        loop {
            let verb = Recover {
                expected_ms,
                tolerance_ms: 0,
                limit: 10,
                lease_ms: 60_000,
                gap_ms: 0,
                quiet_ms: 0,
                doubt: Doubt::None,
            };
            match self.call(&verb) {
                Recovered::Unsure { now_ms, .. } => expected_ms = now_ms,
                Recovered::Done { stalled, dead, .. } => return stalled.len() + dead.len(),
            }
        }
    }
}

fn every_step_from_every_state_does_what_the_table_says(mut rig: Rig) {
    for &state in State::ALL {
        for &step in Step::ALL {
            let case = format!("{state}-{step:?}");
            let id = JobId::new(&case).unwrap();
            let receipt = rig.bring(&id, state, step);
            assert_eq!(rig.state(&id), Some(state), "{case}: before");

            let done = rig.step(&id, &receipt, step);

            let after = rig.state(&id);
            match state.after(step) {
                None => assert_eq!((done, after), (false, Some(state)), "{case}: refused"),
                Some(Place::Gone) => assert_eq!((done, after), (true, None), "{case}: gone"),
                Some(Place::In(next)) => {
                    assert_eq!((done, after), (true, Some(next)), "{case}: moved");
                }
            }
            rig.check_whole(&id);
            rig.clear();
            (rig.traits, rig.before) = (false, None);
        }
    }
}

/// The same, for a job that waits among the suspects or is done and awaited: the same states in
/// other collections.
fn suspects_wait_and_what_is_kept_apart_is_completed(mut rig: Rig) {
    rig.lease_ms = 2;
    let id = JobId::new("suspect").unwrap();
    let mut new = job("suspect");
    new.await_ms = Some(60_000);
    rig.enqueue(&[new]);
    rig.claim_one().unwrap();
    rig.wait(PAST_SHORT);
    assert_eq!(rig.recover(), 1);
    assert_eq!((rig.size("suspects"), rig.size("waiting")), (1, 0));
    assert_eq!(rig.state(&id), Some(State::Waiting));
    rig.check_whole(&id);

    rig.keep_nothing();
    let claimed = rig.claim_one().unwrap();
    assert_eq!(claimed.stalls, 1);
    assert!(rig.settle(&id, &claimed.receipt, completed()));
    assert_eq!((rig.size("kept"), rig.size("completed")), (1, 0));
    assert_eq!(rig.state(&id), Some(State::Completed));
    rig.check_whole(&id);
}

on_both!(
    every_step_from_every_state_does_what_the_table_says,
    suspects_wait_and_what_is_kept_apart_is_completed,
);
