//! Sagas, whose steps are undone before they end without success: what is promised of that, and the operation of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{Op, Operation, WORKERS};
use super::random::world::{World, Wrong};
use super::steps::operations::{end, live, one_of};
use super::{Rig, completed, job, on_both};
use crate::codec;
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::outcome::{DeadReason, Ending, Outcome};
use crate::job::state::State;
use crate::policy::settings::QueueSettings;
use crate::policy::steps::StepKind;
use crate::store::advance::Claimed;
use crate::store::get::Get;
use crate::store::recover::{Doubt, Recover, Recovered};
use crate::store::remove::Remove;
use crate::store::replay::Replay;
use crate::store::skip_undo::{SkipUndo, Skipped};
use crate::store::step::{Step, Stored, What};
use crate::store::steps::Steps;
use crate::store::undo::{Undo, Undoing};

const SECOND: Duration = Duration::from_secs(1);

fn why(reason: &str) -> Vec<u8> {
    codec::encode_plain(&Ending::Cancelled(reason.to_owned()))
}

fn entry() -> AttemptEntry {
    AttemptEntry::new(AttemptKind::Error, "broken".into())
}

fn retry() -> Outcome {
    let (after, entry) = (SECOND, entry());
    Outcome::Retry { after, entry }
}

fn dead() -> Outcome {
    let (reason, entry) = (DeadReason::Declared, entry());
    Outcome::Dead { reason, entry }
}

impl Rig {
    /// A step of this number comes so far.
    fn saga_step(&mut self, claimed: &Claimed, number: u32, kind: StepKind) -> Stored {
        let name = &format!("step {number}");
        let after_ms = None;
        let what = What::Step {
            number,
            kind,
            name,
            after_ms,
        };
        let (id, receipt) = (&claimed.id, &claimed.receipt);
        let value = b"value";
        self.call(&Step {
            id,
            receipt,
            what,
            value,
        })
    }

    /// A saga that has done its first step, and is claimed.
    fn saga(&mut self, id: &str) -> Claimed {
        self.enqueue(&[job(id)]);
        let claimed = self.claim_one().unwrap();
        for kind in [StepKind::Begun, StepKind::Done] {
            let stored = self.saga_step(&claimed, 1, kind);
            assert!(matches!(stored, Stored::Yes { .. }), "{stored:?}");
        }
        claimed
    }

    /// Whether it is a saga, and why it is to be undone.
    fn undo_of(&mut self, id: &str) -> Option<Vec<u8>> {
        let (from, bytes, cut) = (1, 1, None);
        self.call(&Steps {
            id,
            from,
            bytes,
            cut,
        })
        .undo
    }

    fn begin_undo(&mut self, claimed: &Claimed, reason: &str) -> Undoing {
        let (id, receipt) = (&claimed.id, &claimed.receipt);
        self.call(&Undo {
            id,
            receipt,
            reason,
        })
    }

    fn ending(&mut self, id: &str) -> Option<Ending> {
        let outcome = self.call(&Get { id })?.outcome?;
        Some(Ending::decode(&outcome).unwrap().1)
    }

    fn failed(&mut self, id: &str) -> u32 {
        let found = self.call(&Get { id }).unwrap();
        let counters = crate::job::history::Counters::decode(&found.counters.unwrap());
        counters.unwrap().failed
    }

    /// Leases run out, and are judged.
    pub(super) fn after_a_death(&mut self) -> Recovered {
        self.wait(SECOND);
        let mut recover = Recover {
            expected_ms: 0,
            tolerance_ms: 0,
            limit: 10,
            lease_ms: 60_000,
            gap_ms: 0,
            quiet_ms: 0,
            doubt: Doubt::None,
        };
        if let Recovered::Unsure { now_ms, .. } = self.call(&recover) {
            recover.expected_ms = now_ms;
        }
        self.call(&recover)
    }
}

fn a_step_of_a_saga_begins_ends_and_is_undone(mut rig: Rig) {
    use StepKind::{Begun, Done, Failed, Undone};
    rig.enqueue(&[job("a")]);
    let claimed = rig.claim_one().unwrap();
    assert_eq!(rig.undo_of("a"), None);
    let mut last = None;
    let course = [
        (Begun, true),
        (Begun, false),
        (Failed, true),
        (Done, false),
        (Begun, true),
        (Done, true),
        (Begun, false),
        (Failed, false),
        (Undone, true),
        (Undone, false),
        (Begun, false),
    ];
    for (kind, goes_on) in course {
        match (rig.saga_step(&claimed, 1, kind), goes_on) {
            (Stored::Yes { .. }, true) => last = Some(kind),
            (Stored::There { stored, .. }, false) => {
                let word = last.unwrap().as_str();
                assert!(stored.starts_with(word.as_bytes()), "{kind:?} after {word}");
            }
            other => panic!("{kind:?}: {other:?}"),
        }
        assert_eq!(rig.undo_of("a").as_deref(), Some(&b"owed"[..]));
    }
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    rig.call(&Remove::of(std::slice::from_ref(&claimed.id)));
    rig.check_whole(&claimed.id);
    assert_eq!(rig.size("attempts"), 0);
}

/// Whatever would end it: it goes in line again, and its handler learns why it is to be undone.
fn a_saga_that_is_to_end_is_undone_first(mut rig: Rig) {
    type End = fn(&mut Rig, &Claimed);
    let ends: [(&str, End); 5] = [
        ("moot", |rig, claimed| {
            assert_eq!(rig.cancel(&["a"]).running, ["a"]);
            assert!(rig.settle(&claimed.id, &claimed.receipt, retry()));
        }),
        ("moot", |rig, claimed| {
            assert!(rig.settle(&claimed.id, &claimed.receipt, retry()));
            assert_eq!(rig.state(&claimed.id), Some(State::Delayed));
            assert_eq!(rig.cancel(&["a"]).running, ["a"]);
        }),
        ("moot", |rig, claimed| {
            assert!(rig.settle(&claimed.id, &claimed.receipt, Outcome::Released));
            assert_eq!(rig.cancel(&["a"]).running, ["a"]);
        }),
        ("declared", |rig, claimed| {
            assert!(rig.settle(&claimed.id, &claimed.receipt, dead()));
        }),
        ("enough", |rig, claimed| {
            let cancelled = Outcome::Cancelled("enough".into());
            assert!(rig.settle(&claimed.id, &claimed.receipt, cancelled));
        }),
    ];
    for (reason, end) in ends {
        let claimed = rig.saga("a");
        end(&mut rig, &claimed);
        assert_eq!(rig.undo_of("a"), Some(why(reason)));
        assert_eq!(rig.state(&claimed.id), Some(State::Waiting), "{reason}");
        // Whatever is asked for later: the first reason stays.
        rig.cancel(&["a"]);
        assert_eq!(rig.undo_of("a"), Some(why(reason)));
        let again = rig.claim_one().unwrap();
        assert_eq!(
            rig.begin_undo(&again, "other"),
            Undoing::Because(why(reason))
        );
        let compensated = Outcome::Compensated(reason.to_owned());
        assert!(rig.settle(&again.id, &again.receipt, compensated));
        assert_eq!(rig.state(&again.id), Some(State::Cancelled));
        assert_eq!(
            rig.ending("a"),
            Some(Ending::Compensated(reason.to_owned()))
        );
        rig.call(&Remove::of(std::slice::from_ref(&again.id)));
        rig.check_whole(&again.id);
        assert_eq!(rig.size("attempts"), 0);
    }
    assert_eq!(rig.total("cancelled"), 5);
}

fn an_undo_that_is_asked_for_twice_is_for_the_first_reason(mut rig: Rig) {
    let claimed = rig.saga("a");
    assert!(rig.settle(&claimed.id, &claimed.receipt, retry()));
    rig.wait(2 * SECOND);
    let claimed = rig.claim_one().unwrap();
    assert_eq!(rig.failed("a"), 1);
    assert_eq!(
        rig.begin_undo(&claimed, "too late"),
        Undoing::Because(why("too late"))
    );
    assert_eq!(rig.failed("a"), 0, "all attempts are there for the undoing");
    assert_eq!(
        rig.begin_undo(&claimed, "other"),
        Undoing::Because(why("too late"))
    );
    // What its worker says then holds, also if it is cancelled once more.
    rig.cancel(&["a"]);
    assert!(rig.settle(&claimed.id, &claimed.receipt, retry()));
    assert_eq!(
        (rig.state(&claimed.id), rig.failed("a")),
        (Some(State::Delayed), 1)
    );
    assert_eq!(rig.begin_undo(&claimed, "stale"), Undoing::LeaseLost);
    rig.wait(2 * SECOND);
    let claimed = rig.claim_one().unwrap();
    let stored = rig.saga_step(&claimed, 1, StepKind::Undone);
    assert!(matches!(stored, Stored::Yes { .. }));
    assert_eq!(rig.failed("a"), 0, "and for each undo anew");
    let stuck = Outcome::Dead {
        reason: DeadReason::Stuck,
        entry: entry(),
    };
    assert!(rig.settle(&claimed.id, &claimed.receipt, stuck));
    assert_eq!(rig.ending("a"), Some(Ending::Dead(DeadReason::Stuck)));
    let ids = &[JobId::stored("a")];
    assert_eq!(rig.call(&Replay { ids }).replayed, ["a"]);
    assert_eq!(rig.undo_of("a"), Some(why("too late")));
    rig.call(&Remove::of(ids));
    // A request to cancel counts more than the reason of the worker, if nothing was asked for before.
    let other = rig.saga("b");
    assert_eq!(rig.cancel(&["b"]).running, ["b"]);
    assert_eq!(
        rig.begin_undo(&other, "broken"),
        Undoing::Because(why("moot"))
    );
}

fn a_saga_whose_workers_die_is_undone_and_at_last_dead(mut rig: Rig) {
    rig.lease_ms = 2;
    rig.set(QueueSettings::new().max_stalls(1));
    rig.saga("a");
    for times in 1..=4 {
        let Recovered::Done { stalled, dead, .. } = rig.after_a_death() else {
            panic!("leases can be judged");
        };
        let expected = match times {
            1 => (vec!["a"], vec![], Some(b"owed".to_vec())),
            2 | 3 => {
                let died = "its worker died 2 times while it ran";
                (vec!["a"], vec![], Some(why(died)))
            }
            _ => {
                let died = "its worker died 2 times while it ran";
                (vec![], vec!["a"], Some(why(died)))
            }
        };
        let undo = rig.undo_of("a");
        assert_eq!(
            (stalled, dead),
            (strings(&expected.0), strings(&expected.1)),
            "{times}"
        );
        assert_eq!(undo, expected.2, "{times}");
        if times < 4 {
            assert!(rig.claim_one().is_some());
        }
    }
    // One that was to be cancelled is undone as soon as its worker has died.
    rig.saga("b");
    assert_eq!(rig.cancel(&["b"]).running, ["b"]);
    let Recovered::Done {
        stalled, cancelled, ..
    } = rig.after_a_death()
    else {
        panic!("leases can be judged");
    };
    assert_eq!((stalled, cancelled), (strings(&["b"]), vec![]));
    assert_eq!(rig.undo_of("b"), Some(why("moot")));
}

fn an_undo_is_left_out_only_while_the_saga_is_stuck(mut rig: Rig) {
    let id = &JobId::stored("a");
    let skip = |rig: &mut Rig, step: &str| rig.call(&SkipUndo { id, step });
    assert_eq!(skip(&mut rig, "step 1"), Skipped::Missing);
    let claimed = rig.saga("a");
    rig.saga_step(&claimed, 2, StepKind::Begun);
    assert_eq!(skip(&mut rig, "step 1"), Skipped::InState("active".into()));
    rig.begin_undo(&claimed, "broken");
    let (reason, entry) = (DeadReason::Stuck, entry());
    assert!(rig.settle(
        &claimed.id,
        &claimed.receipt,
        Outcome::Dead { reason, entry }
    ));
    assert_eq!(skip(&mut rig, "step 3"), Skipped::NoStep);
    assert_eq!(skip(&mut rig, "step 2"), Skipped::Yes);
    assert_eq!(skip(&mut rig, "step 2"), Skipped::Is(StepKind::Failed));
    assert_eq!(skip(&mut rig, "step 1"), Skipped::Yes);
    assert_eq!(skip(&mut rig, "step 1"), Skipped::Is(StepKind::Skipped));
    let (from, bytes) = (1, 1);
    let page = rig.call(&Steps {
        id: "a",
        from,
        bytes,
        cut: None,
    });
    let stored = String::from_utf8_lossy(&page.steps[0].1).into_owned();
    assert!(
        stored.starts_with("skipped ") && stored.ends_with(" value"),
        "{stored}"
    );
    rig.enqueue(&[job("plain")]);
    let plain = rig.claim_one().unwrap();
    assert!(rig.settle(&plain.id, &plain.receipt, dead()));
    let (id, step) = (&plain.id, "step 1");
    assert_eq!(rig.call(&SkipUndo { id, step }), Skipped::NoStep);
}

fn strings(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

on_both!(
    a_step_of_a_saga_begins_ends_and_is_undone,
    a_saga_that_is_to_end_is_undone_first,
    an_undo_that_is_asked_for_twice_is_for_the_first_reason,
    a_saga_whose_workers_die_is_undone_and_at_last_dead,
    an_undo_is_left_out_only_while_the_saga_is_stuck,
);

/// What the handler of a saga does.
#[derive(Debug, Clone, Copy)]
enum Does {
    Step(u32, StepKind),
    Undo,
    /// Its attempt ends.
    End(Ends),
    /// Somebody leaves out an undo.
    Skip(u32),
}

#[derive(Debug, Clone, Copy)]
enum Ends {
    Compensated,
    Dead,
    Cancelled,
}

#[derive(Debug)]
struct Course {
    worker: u8,
    claim: u8,
    stale: bool,
    does: Does,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    use StepKind::{Begun, Done, Failed, Undone};
    let kind = select(&[Begun, Begun, Begun, Done, Done, Failed, Undone][..]);
    let does = prop_oneof![
        6 => (1..3u32, kind).prop_map(|(number, kind)| Does::Step(number, kind)),
        2 => Just(Does::Undo),
        2 => select(&[Ends::Compensated, Ends::Dead, Ends::Cancelled][..]).prop_map(Does::End),
        1 => (1..3u32).prop_map(Does::Skip),
    ];
    let what = (0..WORKERS, any::<u8>(), prop::bool::weighted(0.2), does);
    what.prop_map(|(worker, claim, stale, does)| {
        Op::Other(Arc::new(Course {
            worker,
            claim,
            stale,
            does,
        }))
    })
}

impl Operation for Course {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        if let Does::Skip(number) = self.does {
            let fields = world.last.names("attempts");
            let sagas: Vec<&str> = fields
                .iter()
                .filter_map(|field| field.strip_suffix("#undo"))
                .collect();
            let id =
                one_of(&sagas, self.claim).map_or_else(|| JobId::stored("job-0"), JobId::stored);
            let (id, step) = (&id, &*format!("step {number}"));
            return world.both(&SkipUndo { id, step });
        }
        let claim = match self.stale {
            true => world.claim(self.claim, true),
            false => one_of(&live(world), self.claim),
        };
        let Some((id, fence, receipt)) = claim else {
            return Ok(());
        };
        match self.does {
            Does::Step(number, kind) => {
                let name = &format!("step {number}");
                let after_ms = None;
                let what = What::Step {
                    number,
                    kind,
                    name,
                    after_ms,
                };
                let (id, receipt, value) = (&id, &receipt, &b"given"[..]);
                world.both(&Step {
                    id,
                    receipt,
                    what,
                    value,
                })
            }
            Does::Undo => {
                let (id, receipt, reason) = (&id, &receipt, "it cannot be finished");
                world.both(&Undo {
                    id,
                    receipt,
                    reason,
                })
            }
            Does::Skip(_) => Ok(()),
            Does::End(ends) => {
                let outcome = match ends {
                    Ends::Compensated => Outcome::Compensated("it cannot be finished".into()),
                    Ends::Dead => dead(),
                    Ends::Cancelled => Outcome::Cancelled("enough".into()),
                };
                end(world, self.worker, (id, fence, receipt), outcome)
            }
        }
    }
}
