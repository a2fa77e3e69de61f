//! Cancelling jobs that have not begun: what is promised of it, and the operation of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::random::op::{IDS, Op, Operation};
use super::random::world::{World, Wrong, names, same};
use super::{Rig, completed, job, on_both};
use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::outcome::Ending;
use crate::job::record::EncodedRecord;
use crate::job::state::State;
use crate::policy::retention::Retention;
use crate::store::Verb;
use crate::store::cancel::{Cancel, Cancelled};
use crate::store::enqueue::{Due, NewJob};
use crate::store::get::Get;
use crate::store::trim::Trim;
use crate::store::watch::{Watch, Watched};

impl Rig {
    fn cancel(&mut self, ids: &[&str]) -> Cancelled {
        let ids: Vec<JobId> = ids.iter().map(|id| JobId::new(id).unwrap()).collect();
        let reason = "moot";
        self.call(&Cancel { ids: &ids, reason })
    }

    fn outcome(&mut self, id: &str) -> Option<Ending> {
        let outcome = self.call(&Get { id })?.outcome?;
        Some(Ending::decode(&outcome).unwrap().1)
    }
}

fn keeping(id: &str, keep: Retention) -> NewJob {
    let options = JobOptions::new().keep(keep);
    NewJob {
        record: EncodedRecord::new("test", vec![0xc0], &options, Vec::new()),
        ..job(id)
    }
}

fn delayed(id: &str) -> NewJob {
    let due = Due::After { ms: 60_000 };
    NewJob { due, ..job(id) }
}

fn jobs_that_wait_end_as_cancelled_and_each_other_id_is_told_apart(mut rig: Rig) {
    rig.enqueue(&[job("runs"), job("done")]);
    let claimed = rig.advance(&[], 2).claimed;
    assert!(rig.settle(&claimed[1].id, &claimed[1].receipt, completed()));
    rig.enqueue(&[job("waits"), delayed("later")]);

    let told = rig.cancel(&["later", "runs", "done", "unknown", "waits", "waits"]);
    assert_eq!(told.cancelled, ["later", "waits"]);
    let others = [("runs", "active"), ("done", "completed")];
    assert_eq!(
        told.others,
        others.map(|(id, state)| (id.into(), state.into()))
    );
    for id in ["waits", "later"] {
        assert_eq!(rig.outcome(id), Some(Ending::Cancelled("moot".into())));
        assert_eq!(rig.state(&JobId::stored(id)), Some(State::Cancelled));
        rig.check_whole(&JobId::stored(id));
    }
    assert_eq!((rig.size("waiting"), rig.size("delayed")), (0, 0));
    assert_eq!(rig.total("cancelled"), 2);
    assert!(rig.claim_one().is_none(), "nothing is left to be claimed");
    assert!(
        rig.settle(&claimed[0].id, &claimed[0].receipt, completed()),
        "what runs goes on"
    );
}

fn a_second_call_changes_nothing(mut rig: Rig) {
    rig.enqueue(&[job("a")]);
    assert_eq!(rig.cancel(&["a"]).cancelled, ["a"]);
    let before = rig.subject.dump();
    let ended = [("a".to_owned(), "cancelled".to_owned())];
    assert_eq!(rig.cancel(&["a"]).others, ended);
    assert_eq!(rig.subject.dump(), before);
}

fn each_is_kept_as_it_asks_and_the_others_as_is_set(mut rig: Rig) {
    let short = Retention::For(Duration::from_secs(2));
    rig.enqueue(&[
        keeping("none", Retention::Nothing),
        keeping("short", short),
        job("plain"),
    ]);
    assert_eq!(rig.cancel(&["none", "short", "plain"]).cancelled.len(), 3);
    assert_eq!(rig.state(&JobId::stored("none")), None);
    assert_eq!((rig.size("kept"), rig.size("completed")), (1, 1));
    rig.wait(Duration::from_millis(2_001));
    rig.call(&Trim {
        limit: 10,
        lane_ttl_ms: 60_000,
        lanes_cursor: "0",
    });
    assert_eq!((rig.size("kept"), rig.size("completed")), (0, 1));
}

/// Whatever stands there, a job is not taken out of line without coming to its end.
fn a_retention_that_is_no_number_counts_as_none(mut rig: Rig) {
    for (n, keep) in ["-5", "nan", "inf", "-inf", "1e300", "0x10", "", "soon"]
        .iter()
        .enumerate()
    {
        let id = format!("job-{n}");
        let mut new = job(&id);
        let field = format!("keep_ms={keep} ").into_bytes();
        new.record.record.splice(0..0, field);
        rig.enqueue(&[new]);
        assert_eq!(rig.cancel(&[&id]).cancelled, [&*id], "{keep}");
        assert_eq!(rig.size("completed"), n + 1, "{keep}");
    }
}

fn a_waiter_hears_of_it_and_can_read_the_reason(mut rig: Rig) {
    rig.keep_nothing();
    rig.enqueue(&[job("a")]);
    let watch = Watch {
        id: "a",
        await_ms: 60_000,
    };
    assert_eq!(rig.call(&watch), Watched::Pending);
    rig.cancel(&["a"]);
    assert_eq!(rig.size("finished"), 1);
    match rig.call(&watch) {
        Watched::Finished { outcome, .. } => {
            assert_eq!(
                Ending::decode(&outcome).unwrap().1,
                Ending::Cancelled("moot".into())
            );
        }
        other => panic!("{other:?}"),
    }
}

on_both!(
    jobs_that_wait_end_as_cancelled_and_each_other_id_is_told_apart,
    a_second_call_changes_nothing,
    each_is_kept_as_it_asks_and_the_others_as_is_set,
    a_retention_that_is_no_number_counts_as_none,
    a_waiter_hears_of_it_and_can_read_the_reason,
);

/// An operator cancels some jobs.
#[derive(Debug)]
struct CancelSome {
    ids: Vec<u8>,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    vec(0..IDS, 1..4).prop_map(|ids| Op::Other(Arc::new(CancelSome { ids })))
}

impl Operation for CancelSome {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let verb = Cancel {
            ids: &names(&self.ids),
            reason: "moot",
        };
        let before = world.redis.dump();
        let told = world.redis.call(&verb)?;
        same(Cancel::script().name, &told, &world.memory.call(&verb))?;
        let after = world.redis.dump();
        let is_in =
            |parts: &[&str], id: &String| parts.iter().any(|part| after.get(part, id).is_some());
        let waits = ["waiting", "suspects", "unhandled", "delayed"];
        if let Some(id) = told.cancelled.iter().find(|id| is_in(&waits, id)) {
            return Err(format!("{id} was cancelled, and still waits"));
        }
        let running = before.names("active");
        match running == after.names("active") {
            true => Ok(()),
            false => Err(format!(
                "{running:?} ran, and only their handlers can end them"
            )),
        }
    }
}
