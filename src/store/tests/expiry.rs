//! Jobs that are not to start any more after a moment. And the operation of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{New, Op, Operation, PRODUCERS};
use super::random::world::{World, Wrong};
use super::subject::Subject;
use super::{Rig, completed, on_both, settlement, with};
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Ending, Outcome};
use crate::job::state::State;
use crate::job::traits::EndTraits;
use crate::policy::expiry::Expiry;
use crate::policy::retention::Retention;
use crate::policy::unique::{OnDuplicate, Unique};
use crate::store::advance::{Advanced, Claimed};
use crate::store::enqueue::{Due, NewJob};
use crate::store::get::Get;
use crate::store::orphans::{How, Orphans};
use crate::store::pause::Pause;
use crate::store::promote::Promote;
use crate::store::remove::Remove;
use crate::store::replay::Replay;
use crate::store::watch::{Watch, Watched};

const MINUTE: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(1);

pub(super) fn expiring(id: &str) -> NewJob {
    with(id, &JobOptions::new().expires_in(MINUTE))
}

fn turn(rig: &mut Rig, claim: usize) -> Advanced {
    rig.traits = true;
    rig.advance(&[], claim)
}

fn end(rig: &mut Rig, job: &Claimed, outcome: Outcome) {
    let mut ended = settlement(&job.id, &job.receipt, outcome);
    ended.traits = EndTraits::of(&job.record);
    rig.traits = true;
    assert!(rig.advance(&[ended], 0).refused.is_empty());
}

fn entry() -> AttemptEntry {
    AttemptEntry::new(AttemptKind::Error, "broken".into())
}

fn promote(rig: &mut Rig) -> u64 {
    let (limit, worker, hold) = (10, "worker", true);
    let verb = Promote {
        limit,
        worker,
        hold,
    };
    rig.call(&verb).moved
}

fn assert_expired(rig: &mut Rig, id: &str) {
    let found = rig.call(&Get { id }).expect("it is kept");
    let (_, ending) = Ending::decode(&found.outcome.expect("it has ended")).unwrap();
    assert_eq!((ending, &*found.state), (Ending::Expired, "cancelled"));
}

fn a_job_that_has_not_started_by_then_never_starts_and_its_waiter_is_told(mut rig: Rig) {
    rig.enqueue(&[expiring("a")]);
    rig.call(&Watch {
        id: "a",
        await_ms: 3_600_000,
    });
    rig.wait(MINUTE);
    let advanced = turn(&mut rig, 5);
    assert!(advanced.claimed.is_empty());
    assert_expired(&mut rig, "a");
    assert_eq!((rig.size("finished"), rig.size("expires")), (1, 0));
    assert_eq!((rig.total("cancelled"), rig.total("expired")), (1, 1));
    let told = rig.call(&Watch {
        id: "a",
        await_ms: 1,
    });
    assert!(matches!(told, Watched::Finished { .. }));
}

/// A worker that claims plain jobs alone starts none that is over, and learns that it has to ask for others.
fn a_plain_call_starts_nothing_before_what_is_over_has_ended(mut rig: Rig) {
    rig.enqueue(&[expiring("a"), super::job("plain")]);
    rig.wait(MINUTE);
    let advanced = rig.advance(&[], 5);
    assert!(advanced.claimed.is_empty() && advanced.traits && advanced.more);
    let claimed = turn(&mut rig, 5).claimed;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].id.as_str(), "plain");
}

fn one_worker_comes_back_at_that_moment(mut rig: Rig) {
    rig.enqueue(&[expiring("a")]);
    rig.call(&Pause);
    assert_eq!(turn(&mut rig, 1).next_at_ms, None);
    rig.call(&crate::store::resume::Resume);
    let other = NewJob {
        due: Due::After { ms: 120_000 },
        ..expiring("never")
    };
    rig.enqueue(&[other]);
    let claimed = turn(&mut rig, 1);
    assert_eq!(claimed.claimed.len(), 1);
    let at_ms = rig.now_us / 1_000 + 60_000;
    assert_eq!(turn(&mut rig, 1).next_at_ms, Some(at_ms));
    rig.wait(MINUTE);
    assert!(turn(&mut rig, 1).claimed.is_empty());
    assert_expired(&mut rig, "never");
}

fn a_job_that_has_started_goes_on(mut rig: Rig) {
    rig.enqueue(&[expiring("a")]);
    let first = turn(&mut rig, 1).claimed.pop().unwrap();
    assert_eq!(rig.size("expires"), 0);
    let (after, entry_of) = (MINUTE, entry());
    let retry = Outcome::Retry {
        after,
        entry: entry_of,
    };
    end(&mut rig, &first, retry);
    rig.wait(2 * MINUTE);
    let second = turn(&mut rig, 1).claimed.pop().unwrap();
    end(&mut rig, &second, completed());
    assert_eq!(rig.state(&first.id), Some(State::Completed));
}

/// Its handler has put it off, so it has started, whatever happens to it then.
fn a_job_that_was_snoozed_has_started(mut rig: Rig) {
    rig.enqueue(&[expiring("a")]);
    let first = turn(&mut rig, 1).claimed.pop().unwrap();
    let after = Duration::from_secs(1);
    end(&mut rig, &first, Outcome::Snoozed { after });
    rig.wait(after);
    let second = turn(&mut rig, 1).claimed.pop().unwrap();
    end(&mut rig, &second, bounced());
    assert_eq!(rig.size("expires"), 0);
    rig.wait(2 * MINUTE);
    promote(&mut rig);
    assert_eq!(rig.state(&first.id), Some(State::Waiting));
}

fn bounced() -> Outcome {
    Outcome::Bounced {
        after: 10 * MINUTE,
        entry: entry(),
        name: Some("report".into()),
    }
}

fn a_job_that_no_worker_could_begin_has_not_started(mut rig: Rig) {
    rig.enqueue(&[expiring("a")]);
    let first = turn(&mut rig, 1).claimed.pop().unwrap();
    end(&mut rig, &first, bounced());
    assert_eq!(rig.size("expires"), 1);
    rig.wait(MINUTE);
    assert_eq!(promote(&mut rig), 1);
    assert_expired(&mut rig, "a");
    assert_eq!((rig.size("names"), rig.size("unhandled")), (0, 0));
}

fn it_ends_also_while_the_queue_is_paused_and_its_key_is_free(mut rig: Rig) {
    let options = JobOptions::new().expires_in(MINUTE).unique("k");
    rig.enqueue(&[with("a", &options)]);
    rig.call(&Pause);
    rig.wait(MINUTE - MOMENT);
    assert_eq!(promote(&mut rig), 0);
    rig.wait(MOMENT);
    assert_eq!(promote(&mut rig), 1);
    assert_expired(&mut rig, "a");
    assert_eq!((rig.size("unique"), rig.size("expires")), (0, 0));
}

fn what_holds_others_back_lets_them_go_when_it_is_over(mut rig: Rig) {
    let ordered = JobOptions::new().ordered_by("k");
    let first = with(
        "a",
        &ordered.clone().expires_in(MINUTE).keep(Retention::Nothing),
    );
    rig.enqueue(&[first, with("b", &ordered)]);
    rig.wait(MINUTE);
    let claimed = turn(&mut rig, 5).claimed;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].id.as_str(), "b");
    rig.check_whole(&JobId::stored("a"));
}

fn nothing_is_left_of_a_job_that_is_removed(mut rig: Rig) {
    rig.enqueue(&[expiring("a"), expiring("b")]);
    let ids = ["a", "b"].map(JobId::stored);
    assert_eq!(rig.call(&Remove::of(&ids)).removed.len(), 2);
    assert_eq!(rig.size("expires"), 0);
    assert!(!turn(&mut rig, 1).traits);
}

/// It died because no worker had a handler for it; a job that has begun, and died, goes on.
fn a_job_that_is_replayed_expires_if_it_never_began(mut rig: Rig) {
    rig.enqueue(&[expiring("a"), expiring("b")]);
    for kind in [AttemptKind::UnknownName, AttemptKind::Error] {
        let claimed = turn(&mut rig, 1).claimed.pop().unwrap();
        let reason = DeadReason::UnknownName;
        let entry = AttemptEntry::new(kind, "no handler".into());
        end(&mut rig, &claimed, Outcome::Dead { reason, entry });
    }
    let ids = ["a", "b"].map(JobId::stored);
    assert_eq!(rig.call(&Replay { ids: &ids }).replayed, ["a", "b"]);
    assert_eq!(rig.size("expires"), 1);
    // It bounces once more, and has not begun.
    let again = turn(&mut rig, 1).claimed.pop().unwrap();
    end(&mut rig, &again, bounced());
    rig.wait(MINUTE);
    assert_eq!(promote(&mut rig), 1);
    assert_expired(&mut rig, "a");
    assert_eq!(rig.state(&ids[1]), Some(State::Waiting));
}

/// Also what it becomes by a job that replaces it is never "expired before it started".
fn a_replaced_job_expires_if_it_has_not_begun(mut rig: Rig) {
    let replaces = |id: &str, key: &str| {
        let unique = Unique::by(key).on_duplicate(OnDuplicate::Replace);
        with(id, &JobOptions::new().expires_in(MINUTE).unique(unique))
    };
    let plain = |id: &str, key: &str| with(id, &JobOptions::new().unique(key));
    rig.enqueue(&[plain("a", "k"), plain("b", "l")]);
    let first = turn(&mut rig, 1).claimed.pop().unwrap();
    let after = 2 * MINUTE;
    let entry = entry();
    end(&mut rig, &first, Outcome::Retry { after, entry });
    rig.enqueue(&[replaces("c", "k"), replaces("d", "l")]);
    assert_eq!(rig.total("replaced"), 2);
    assert_eq!(rig.size("expires"), 1);
    rig.wait(MINUTE);
    assert_eq!(promote(&mut rig), 1);
    assert_expired(&mut rig, "b");
    assert_eq!(rig.state(&first.id), Some(State::Delayed));
}

/// Its list was deleted, and all that is told of the queue as a whole.
#[test]
fn a_job_expires_though_something_was_lost() {
    let mut rig = Rig::in_redis();
    rig.enqueue(&[expiring("a"), expiring("b")]);
    let first = turn(&mut rig, 1).claimed.pop().unwrap();
    let after = 3 * MINUTE;
    let entry = entry();
    end(&mut rig, &first, Outcome::Retry { after, entry });
    let Subject::Redis(redis) = &mut rig.subject else {
        panic!("it is in Redis");
    };
    // As if it had started while `meta` was lost.
    let (meta, expires) = (redis.key("meta"), redis.key("expires"));
    let _: i64 = redis.ask(redis::cmd("ZADD").arg(&expires).arg(5).arg("a"));
    let _: i64 = redis.ask(redis::cmd("DEL").arg(&meta));
    rig.wait(MINUTE);
    assert_eq!(promote(&mut rig), 2);
    assert_expired(&mut rig, "b");
    assert_eq!(rig.state(&first.id), Some(State::Delayed));
    assert_eq!(rig.size("expires"), 0);
}

/// One that has begun goes on, one that has not expires.
fn a_job_that_is_put_back_expires_if_it_has_not_begun(mut rig: Rig) {
    rig.enqueue(&[expiring("a"), expiring("b")]);
    let first = turn(&mut rig, 1).claimed.pop().unwrap();
    let after = Duration::ZERO;
    let entry = entry();
    end(&mut rig, &first, Outcome::Retry { after, entry });
    rig.subject.lose_list(0);
    if let Subject::Redis(redis) = &mut rig.subject {
        let expires = redis.key("expires");
        let _: i64 = redis.ask(redis::cmd("DEL").arg(&expires));
    }
    let put_back = Orphans {
        cursor: Orphans::FIRST,
        limit: 100,
        how: How::PutBack,
        lease_ms: 60_000,
    };
    assert_eq!(rig.call(&put_back).ids, ["a", "b"]);
    assert_eq!(rig.size("expires"), 1);
    rig.wait(MINUTE);
    let claimed = turn(&mut rig, 5).claimed;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].id, first.id);
    assert_expired(&mut rig, "b");
}

/// No script reads such a number right. The type of the caller keeps it away; here it is passed by.
fn a_moment_that_is_too_far_away_never_comes(mut rig: Rig) {
    for (n, ms) in [1 << 53, u64::MAX].into_iter().enumerate() {
        let mut options = JobOptions::new();
        options.expiry = Some(Expiry::At { ms });
        let id = format!("far-{n}");
        rig.enqueue(&[with(&id, &options), super::job("plain")]);
        assert_eq!(rig.size("expires"), 0);
        let claimed = turn(&mut rig, 5).claimed;
        assert_eq!(claimed.len(), 2);
        end(&mut rig, &claimed[1], completed());
        rig.call(&Remove::of(&[JobId::stored("plain")]));
    }
}

on_both! {
    a_job_that_is_replayed_expires_if_it_never_began,
    a_replaced_job_expires_if_it_has_not_begun,
    a_job_that_is_put_back_expires_if_it_has_not_begun,
    a_moment_that_is_too_far_away_never_comes,
    a_job_that_has_not_started_by_then_never_starts_and_its_waiter_is_told,
    a_plain_call_starts_nothing_before_what_is_over_has_ended,
    one_worker_comes_back_at_that_moment,
    a_job_that_has_started_goes_on,
    a_job_that_was_snoozed_has_started,
    a_job_that_no_worker_could_begin_has_not_started,
    it_ends_also_while_the_queue_is_paused_and_its_key_is_free,
    what_holds_others_back_lets_them_go_when_it_is_over,
    nothing_is_left_of_a_job_that_is_removed,
}

/// Jobs that expire are enqueued.
#[derive(Debug)]
struct EnqueueExpiring {
    lane: u8,
    jobs: Vec<(New, u64)>,
}

impl Operation for EnqueueExpiring {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        world.enqueue_expiring(self.lane, &self.jobs)
    }
}

pub(super) fn operation(new: impl Strategy<Value = New>) -> impl Strategy<Value = Op> {
    let times = select(&[1_000, 1_050, 30_000, 600_000][..]);
    (0..PRODUCERS, vec((new, times), 1..4))
        .prop_map(|(lane, jobs)| Op::Other(Arc::new(EnqueueExpiring { lane, jobs })))
}
