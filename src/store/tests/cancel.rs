//! Cancelling jobs, those that wait and those that run: what is promised of it, and the operation of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{IDS, Op, Operation};
use super::random::world::{World, Wrong, names, same};
use super::{Rig, completed, job, on_both, settlement};
use crate::codec;
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Ending, Outcome};
use crate::job::record::EncodedRecord;
use crate::job::state::State;
use crate::policy::retention::Retention;
use crate::policy::settings::QueueSettings;
use crate::store::Verb;
use crate::store::advance::{Claimed, Settlement};
use crate::store::cancel::{Cancel, Cancelled};
use crate::store::enqueue::{Due, NewJob};
use crate::store::extend::Extend;
use crate::store::get::Get;
use crate::store::recover::Recovered;
use crate::store::remove::Remove;
use crate::store::trim::Trim;
use crate::store::watch::{Watch, Watched};

impl Rig {
    pub(super) fn cancel(&mut self, ids: &[&str]) -> Cancelled {
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
    assert_eq!(told.running, ["runs"]);
    assert_eq!(told.others, [("done".into(), "completed".into())]);
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
        "what runs may complete all the same"
    );
    let runs = JobId::stored("runs");
    assert_eq!(rig.state(&runs), Some(State::Completed));
    rig.call(&Remove::of(&[JobId::stored("runs")]));
    rig.check_whole(&runs);
    assert_eq!(rig.size("attempts"), 0);
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

/// Everything but a success.
fn other_outcomes() -> [Outcome; 9] {
    let entry = || AttemptEntry::new(AttemptKind::Error, "broken".into());
    let after = Duration::from_secs(1);
    let bounced = |name| Outcome::Bounced {
        after,
        entry: entry(),
        name,
    };
    [
        Outcome::Retry {
            after,
            entry: entry(),
        },
        Outcome::Retry {
            after: Duration::ZERO,
            entry: entry(),
        },
        Outcome::Dead {
            reason: DeadReason::Declared,
            entry: entry(),
        },
        Outcome::Cancelled("for another reason".into()),
        Outcome::Snoozed { after },
        Outcome::Released,
        Outcome::LeaseLost,
        bounced(None),
        bounced(Some("other".to_owned())),
    ]
}

fn a_job_that_runs_ends_as_cancelled_whatever_its_worker_says_but_done(mut rig: Rig) {
    for (n, outcome) in other_outcomes().into_iter().enumerate() {
        let id = format!("job-{n}");
        rig.enqueue(&[keeping(&id, Retention::For(Duration::from_secs(9)))]);
        let claimed = rig.claim_one().unwrap();
        assert_eq!(rig.cancel(&[&id]).running, [&*id]);
        let settlement = settlement(&claimed.id, &claimed.receipt, outcome.clone());
        let advanced = rig.advance(&[settlement], 0);
        assert!(advanced.refused.is_empty());
        let stored = Ending::Cancelled("moot".into());
        let told: Vec<_> = advanced
            .overruled
            .iter()
            .map(|(position, stored)| (*position, codec::decode_plain("test", stored).unwrap()))
            .collect();
        assert_eq!(told, [(0, stored.clone())], "{outcome}");
        assert_eq!(rig.outcome(&id), Some(stored), "{outcome}");
        assert_eq!(rig.size("kept"), n + 1, "as long as the job asks for");
        rig.check_whole(&claimed.id);
        let request = format!("{id}#cancel");
        assert_eq!(rig.subject.dump().get("attempts", &request), None);
        assert!(rig.claim_one().is_none(), "{outcome}: it runs again");
    }
    assert_eq!((rig.total("cancelled"), rig.total("retried")), (9, 0));
}

/// The worker knows of the request: it says itself that the job is cancelled.
fn a_worker_that_says_what_is_asked_for_is_told_nothing(mut rig: Rig) {
    rig.enqueue(&[job("a"), job("b")]);
    let claimed = rig.advance(&[], 2).claimed;
    rig.cancel(&["a", "b"]);
    let ended = |of: &Claimed, outcome| Settlement {
        is_requested: true,
        ..settlement(&of.id, &of.receipt, outcome)
    };
    let moot = || Outcome::Cancelled("moot".into());
    let advanced = rig.advance(
        &[ended(&claimed[0], moot()), ended(&claimed[1], completed())],
        0,
    );
    assert_eq!((advanced.overruled, advanced.refused), (vec![], vec![]));
    assert_eq!(rig.state(&claimed[0].id), Some(State::Cancelled));
    assert_eq!(rig.state(&claimed[1].id), Some(State::Completed));
    let attempts = rig.subject.dump().names("attempts");
    assert!(
        !attempts.iter().any(|field| field.ends_with("#cancel")),
        "{attempts:?}"
    );
}

fn a_job_whose_worker_dies_is_cancelled_if_that_was_asked_for(mut rig: Rig) {
    rig.lease_ms = 2;
    rig.set(QueueSettings::new().max_stalls(0));
    rig.enqueue(&[job("a"), job("b")]);
    rig.advance(&[], 2);
    rig.cancel(&["a"]);
    let Recovered::Done {
        stalled,
        dead,
        cancelled,
        ..
    } = rig.after_a_death()
    else {
        panic!("leases can be judged");
    };
    assert_eq!(
        (stalled.len(), dead, cancelled),
        (0, vec!["b".to_owned()], vec!["a".to_owned()])
    );
    assert_eq!(rig.outcome("a"), Some(Ending::Cancelled("moot".into())));
    assert_eq!((rig.total("stalled"), rig.total("cancelled")), (2, 1));
    rig.check_whole(&JobId::stored("a"));
}

/// It is stored with the job, so it is told until the attempt has ended; and announced under the claim that it is for.
fn a_request_is_told_with_each_renewal_and_announced_once_a_call(mut rig: Rig) {
    rig.enqueue(&[job("a"), job("b")]);
    let claimed = rig.advance(&[], 2).claimed;
    let leases: Vec<_> = claimed
        .iter()
        .map(|of| (of.id.clone(), of.receipt.clone()))
        .collect();
    let extend = Extend {
        leases: &leases,
        lease_ms: 60_000,
    };
    assert_eq!(rig.call(&extend).requests, []);
    assert_eq!(rig.cancel(&["b"]).running, ["b"]);
    let ids = [JobId::stored("b")];
    let again = Cancel {
        ids: &ids,
        reason: "another reason",
    };
    assert_eq!(rig.call(&again).running, ["b"]);
    let request = codec::encode_plain(&Ending::Cancelled("moot".into()));
    for _ in 0..2 {
        let extended = rig.call(&extend);
        assert_eq!(
            (extended.lost, extended.requests),
            (vec![], vec![(1, request.clone())])
        );
    }
    let dump = rig.subject.dump();
    let announced: Vec<_> = dump
        .part("cancels")
        .map(|(_, entry)| entry.clone())
        .collect();
    let receipt = claimed[1].receipt.as_str();
    let entry = [b"b=", receipt.as_bytes(), b"\n", &request, b" "].concat();
    assert_eq!(announced, [entry.clone(), entry]);
}

/// An attempt that lost its job cannot end it, and neither does the request that another attempt took with it.
fn a_request_ends_with_the_attempt_that_it_is_for(mut rig: Rig) {
    rig.enqueue(&[job("a")]);
    let first = rig.claim_one().unwrap();
    rig.cancel(&["a"]);
    assert!(rig.settle(&first.id, &first.receipt, Outcome::Released));
    rig.call(&Remove::of(&[JobId::stored("a")]));
    rig.enqueue(&[job("a")]);
    let second = rig.claim_one().unwrap();
    assert!(!rig.settle(&first.id, &first.receipt, Outcome::Released));
    let entry = AttemptEntry::new(AttemptKind::Error, "broken".into());
    let after = Duration::from_secs(1);
    assert!(rig.settle(&second.id, &second.receipt, Outcome::Retry { after, entry }));
    assert_eq!(rig.state(&second.id), Some(State::Delayed));
}

on_both!(
    a_job_that_runs_ends_as_cancelled_whatever_its_worker_says_but_done,
    a_worker_that_says_what_is_asked_for_is_told_nothing,
    a_job_whose_worker_dies_is_cancelled_if_that_was_asked_for,
    a_request_is_told_with_each_renewal_and_announced_once_a_call,
    a_request_ends_with_the_attempt_that_it_is_for,
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
    reason: &'static str,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    let reason = select(&["moot", "the customer has left"][..]);
    (vec(0..IDS, 1..4), reason)
        .prop_map(|(ids, reason)| Op::Other(Arc::new(CancelSome { ids, reason })))
}

impl Operation for CancelSome {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let verb = Cancel {
            ids: &names(&self.ids),
            reason: self.reason,
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
        if running != after.names("active") {
            return Err(format!(
                "{running:?} ran, and only their handlers can end them"
            ));
        }
        let field = |id: &String, name: &str| after.get("attempts", &format!("{id}#{name}"));
        // A saga that does not run is undone.
        let is_undone = |id: &String| field(id, "undo").is_some_and(|why| why != b"owed");
        let is_stored = |id: &&String| field(id, "cancel").is_some() || is_undone(id);
        match told.running.iter().find(|id| !is_stored(id)) {
            Some(id) => Err(format!("{id} is to end, and no request is stored")),
            None => Ok(()),
        }
    }
}
