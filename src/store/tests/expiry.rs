//! Jobs that are not to start any more after a moment. And the operation of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{New, Op, Operation, PRODUCERS};
use super::random::world::{World, Wrong};
use super::{Rig, completed, on_both, settlement, with};
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::{Ending, Outcome};
use crate::job::state::State;
use crate::policy::retention::Retention;
use crate::store::advance::{Advanced, Claimed};
use crate::store::enqueue::{Due, NewJob};
use crate::store::get::Get;
use crate::store::pause::Pause;
use crate::store::promote::Promote;
use crate::store::remove::Remove;
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
    ended.traits = true;
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
    assert_eq!(
        ending,
        Ending::Cancelled("expired before it started".into())
    );
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
    assert_eq!(rig.total("cancelled"), 1);
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
    assert_eq!(rig.call(&Remove { ids: &ids }).removed.len(), 2);
    assert_eq!(rig.size("expires"), 0);
    assert!(!turn(&mut rig, 1).traits);
}

on_both! {
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
