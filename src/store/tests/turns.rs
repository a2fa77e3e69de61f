//! Who is next behind a gate: also when a suspect waits, when a limit was raised, and when something was lost.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::gates::{after, of_group, ordered, retry};
use super::random::op::{Gated, Op, Operation, Turn};
use super::random::world::{World, Wrong};
use super::subject::Subject;
use super::{Rig, completed, on_both, with};
use crate::job::options::JobOptions;
use crate::job::state::State;
use crate::policy::order::Order;
use crate::policy::settings::QueueSettings;
use crate::store::advance::{Claimed, Suspects};
use crate::store::configure::By;
use crate::store::orphans::How;
use crate::store::promote::Promote;
use crate::store::recover::Doubt;
use crate::store::trim::Trim;

const MINUTE: Duration = Duration::from_secs(60);

impl Rig {
    /// Claims as a worker does that may run no suspect now.
    fn claim_no_suspects(&mut self, limit: usize) -> Vec<Claimed> {
        self.traits = true;
        self.call += 1;
        self.advance_as(self.call, &[], limit, false).claimed
    }

    /// What any worker does now and then.
    fn trim_once(&mut self) {
        self.call(&Trim {
            limit: 10,
            lane_ttl_ms: 60_000,
            lanes_cursor: "0",
        });
    }

    /// The jobs that are running stall.
    fn stall(&mut self) -> Vec<String> {
        self.take_back(9).0
    }
}

fn ids(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|job| job.id.as_str()).collect()
}

fn groups(ids: &[&str]) -> Vec<super::NewJob> {
    ids.iter().map(|id| of_group(id)).collect()
}

fn the_next_of_a_group_that_is_alone_keeps_its_place(mut rig: Rig) {
    rig.enqueue(&groups(&["a-0", "a-1", "a-2", "a-3"]));
    assert_eq!(rig.claim_ids(2), ["a-0", "a-1"]);
    assert_eq!((rig.size("waiting"), rig.size("places")), (1, 0));
    rig.enqueue(&groups(&["b-0", "b-1"]));
    assert_eq!(rig.claim_ids(1), ["a-2"]);
    // Somebody is in line, so the next one goes behind.
    assert_eq!((rig.size("waiting"), rig.size("places")), (2, 1));
    assert_eq!(rig.claim_ids(1), ["b-0"]);
    assert_eq!(rig.claim_ids(9), ["a-3", "b-1"]);
}

/// Of the jobs that are blocked, those of the group are taken, and none that lies between them.
fn a_group_that_is_alone_takes_no_blocked_job_of_others(mut rig: Rig) {
    let other = JobOptions::new().ordered_by(Order::by("k"));
    rig.enqueue(&[ordered("k-0"), with("g-115", &other)]);
    assert_eq!(rig.claim_ids(1), ["k-0"]);
    rig.enqueue(&groups(&["g-10", "g-11", "g-12", "g-13"]));
    assert_eq!(rig.claim_ids(4), ["g-10", "g-11", "g-12", "g-13"]);
    assert_eq!(rig.job_state("g-115"), Some(State::Blocked));
    assert_eq!((rig.size("blocked"), rig.size("running")), (1, 5));
}

fn a_suspect_does_not_hold_up_its_group(mut rig: Rig) {
    rig.set(QueueSettings::new().group_concurrency(2));
    rig.lease_ms = 2;
    rig.enqueue(&groups(&["g-0", "g-1", "g-2", "g-3", "g-4", "g-5"]));
    assert_eq!(rig.claim_ids(2), ["g-0", "g-1"]);
    rig.wait(Duration::from_millis(10));
    assert_eq!(rig.stall(), ["g-0", "g-1"]);
    rig.lease_ms = 60_000;
    let others = rig.claim_no_suspects(2);
    assert_eq!(ids(&others), ["g-2", "g-3"]);
    // Each suspect meets a group that has as many as it may have, and is held back before all others.
    assert!(rig.claim_ids(1).is_empty() && rig.claim_ids(1).is_empty());
    assert_eq!((rig.size("suspects"), rig.size("blocked")), (0, 4));
    rig.end(&others[0], completed(), 0);
    assert_eq!((rig.size("suspects"), rig.size("waiting")), (2, 1));
    assert_eq!(ids(&rig.claim_no_suspects(2)), ["g-4"]);
    rig.end(&others[1], completed(), 0);
    assert_eq!(ids(&rig.claim_no_suspects(2)), ["g-5"]);
}

/// However many of its suspects are next, the job behind them gets its turn.
fn many_suspects_of_a_group_do_not_hold_up_the_job_behind_them(mut rig: Rig) {
    rig.lease_ms = 2;
    let names = ["g-0", "g-1", "g-2", "g-3"];
    rig.enqueue(&groups(&names));
    assert_eq!(rig.claim_ids(4), names);
    rig.wait(Duration::from_millis(10));
    assert_eq!(rig.stall(), names);
    rig.lease_ms = 60_000;
    rig.set(QueueSettings::new().group_concurrency(1).max_stalls(9));
    rig.enqueue(&[of_group("g-9")]);
    let running = rig.claim_no_suspects(1);
    for _ in names {
        assert!(rig.claim_ids(1).is_empty());
    }
    assert_eq!((rig.size("suspects"), rig.size("blocked")), (0, 4));
    rig.enqueue(&[of_group("g-8")]);
    rig.end(&running[0], completed(), 0);
    let sizes = ["suspects", "waiting", "blocked"].map(|part| rig.size(part));
    assert_eq!(sizes, [4, 1, 0], "suspects, waiting, blocked");
    assert_eq!(rig.claim_ids(1), ["g-0"]);
}

fn a_suspect_that_is_due_again_does_not_take_the_turn_of_its_group(mut rig: Rig) {
    rig.lease_ms = 2;
    rig.enqueue(&groups(&["g-0"]));
    rig.claim_ids(1);
    rig.wait(Duration::from_millis(10));
    assert_eq!(rig.stall(), ["g-0"]);
    rig.lease_ms = 60_000;
    let again = rig.claim_some(1);
    rig.end(&again[0], retry(MINUTE), 0);
    rig.wait(2 * MINUTE);
    let (limit, worker, hold) = (10, "worker", true);
    rig.call(&Promote {
        limit,
        worker,
        hold,
    });
    assert_eq!(rig.size("suspects"), 1);
    rig.enqueue(&groups(&["g-1"]));
    assert_eq!(ids(&rig.claim_no_suspects(1)), ["g-1"]);
}

fn a_new_job_goes_behind_those_that_its_group_holds_back(mut rig: Rig) {
    rig.set(QueueSettings::new().group_concurrency(1));
    rig.enqueue(&groups(&["g-0", "g-1", "g-2"]));
    assert_eq!(rig.claim_ids(3), ["g-0"]);
    rig.set(QueueSettings::new().group_concurrency(4));
    rig.enqueue(&groups(&["g-3", "g-4"]));
    assert_eq!((rig.size("waiting"), rig.size("blocked")), (1, 3));
    assert_eq!(rig.claim_ids(1), ["g-1"]);
    assert_eq!(rig.claim_ids(9), ["g-2", "g-3"]);
}

fn a_job_that_is_due_goes_behind_those_that_its_group_holds_back(mut rig: Rig) {
    rig.set(QueueSettings::new().group_concurrency(1));
    rig.enqueue(&groups(&["g-0", "g-1"]));
    assert_eq!(rig.claim_ids(3), ["g-0"]);
    rig.enqueue(&[after(of_group("g-2"), MINUTE)]);
    rig.set(QueueSettings::new().group_concurrency(4));
    rig.wait(2 * MINUTE);
    assert_eq!(rig.claim_ids(1), ["g-1"]);
    assert_eq!(rig.claim_ids(1), ["g-2"]);
}

/// A worker that trims looks after groups whose limit was raised.
fn what_a_limit_held_back_goes_on_when_it_was_raised(mut rig: Rig) {
    rig.set(QueueSettings::new().group_concurrency(1));
    rig.enqueue(&groups(&["a-0", "a-1", "b-0", "b-1"]));
    assert_eq!(rig.claim_ids(9), ["a-0", "b-0"]);
    rig.trim_once();
    assert!(rig.claim_ids(9).is_empty());
    rig.set(QueueSettings::new().group_concurrency(2));
    rig.trim_once();
    assert_eq!(rig.claim_ids(9), ["a-1", "b-1"]);
}

fn a_turn_whose_job_is_gone_goes_to_the_next(mut rig: Rig) {
    rig.enqueue(&groups(&["g-0", "g-1"]));
    rig.enqueue(&[ordered("k-0"), ordered("k-1")]);
    rig.subject.lose_record("g-0");
    assert_eq!(rig.claim_ids(9), ["k-0"]);
    rig.trim_once();
    assert_eq!(rig.claim_ids(9), ["g-1"]);
    rig.subject.lose_record("k-0");
    rig.trim_once();
    assert_eq!(rig.claim_ids(9), ["k-1"]);
}

fn the_slot_of_a_job_whose_record_is_gone_is_free_again(mut rig: Rig) {
    rig.set(QueueSettings::new().group_concurrency(1));
    rig.lease_ms = 2;
    rig.enqueue(&groups(&["g-0", "g-1"]));
    assert_eq!(rig.claim_ids(9), ["g-0"]);
    rig.subject.lose_record("g-0");
    rig.wait(Duration::from_millis(10));
    rig.stall();
    rig.trim_once();
    assert_eq!(rig.claim_ids(9), ["g-1"]);
}

/// A round goes on where the call before it has stopped.
fn g7_a_trimming_call_looks_after_a_bounded_number_of_gates(mut rig: Rig) {
    rig.set(QueueSettings::new().group_concurrency(1));
    let names = |n: u32| (0..24).map(move |group| format!("{group:02}-{n}"));
    for n in 0..2 {
        let jobs: Vec<_> = names(n).map(|id| of_group(&id)).collect();
        rig.enqueue(&jobs);
    }
    assert_eq!(rig.claim_ids(99).len(), 24);
    rig.set(QueueSettings::new().group_concurrency(2));
    for (calls, free) in [10, 20, 24, 24].into_iter().enumerate() {
        rig.trim_once();
        assert_eq!(rig.size("waiting"), free, "after {} calls", calls + 1);
    }
    assert_eq!(rig.claim_ids(99), names(1).collect::<Vec<_>>());
}

fn jobs_that_their_gates_do_not_know_are_found_and_put_back(mut rig: Rig) {
    rig.set(QueueSettings::new().group_concurrency(1));
    rig.enqueue(&groups(&["g-0", "g-1", "g-2"]));
    let later = after(ordered("k-1"), MINUTE);
    rig.enqueue(&[ordered("k-0"), later, ordered("k-2")]);
    let claimed = rig.claim_some(9);
    assert_eq!(ids(&claimed), ["g-0", "k-0"]);
    rig.subject.lose_blocked_by();
    for job in &claimed {
        assert!(rig.end(job, completed(), 9).is_empty());
    }
    let blocked = ["g-1", "g-2", "k-1", "k-2"];
    assert_eq!(rig.orphans(How::Look), blocked);
    assert_eq!(rig.orphans(How::PutBack), blocked);
    assert!(rig.orphans(How::Look).is_empty());
    let claimed = rig.claim_some(9);
    assert_eq!(ids(&claimed), ["g-1"], "one at a time, and k-1 is not due");
    assert_eq!(ids(&rig.end(&claimed[0], completed(), 9)), ["g-2"]);
    assert_eq!(rig.job_state("k-1"), Some(State::Delayed));
    rig.wait(2 * MINUTE);
    let claimed = rig.claim_some(9);
    assert_eq!(ids(&claimed), ["k-1"]);
    assert_eq!(ids(&rig.end(&claimed[0], completed(), 9)), ["k-2"]);
}

/// When it was due only the lost list knew: it goes to the back of its priority, and of its group.
fn a_delayed_job_of_a_group_that_lost_its_list_goes_to_the_back(mut rig: Rig) {
    rig.enqueue(&groups(&["g-0"]));
    rig.enqueue(&["g-1", "g-2"].map(|id| after(of_group(id), MINUTE)));
    rig.enqueue(&groups(&["g-3", "g-4"]));
    rig.subject.lose_list(4);
    assert_eq!(rig.orphans(How::PutBack), ["g-1", "g-2"]);
    rig.enqueue(&groups(&["g-5"]));
    let order = ["g-0", "g-3", "g-4", "g-1", "g-2", "g-5"];
    assert_eq!(rig.claim_ids(9), order);
}

/// Their turns are given anew: no job of a group fills the line, no job of an order passes another.
fn jobs_with_a_gate_that_lost_their_line_are_put_back_behind_their_gates(mut rig: Rig) {
    rig.enqueue(&groups(&["g-0", "g-1", "g-2"]));
    rig.enqueue(&[ordered("k-0"), ordered("k-1")]);
    for list in [0, 3] {
        rig.subject.lose_list(list);
        rig.orphans(How::PutBack);
        assert_eq!((rig.size("waiting"), rig.size("blocked")), (2, 3), "{list}");
    }
    let claimed = rig.claim_some(1);
    assert_eq!(ids(&claimed), ["g-0"]);
    assert_eq!(rig.claim_ids(9), ["k-0", "g-1", "g-2"]);
}

on_both!(
    the_next_of_a_group_that_is_alone_keeps_its_place,
    a_group_that_is_alone_takes_no_blocked_job_of_others,
    a_suspect_does_not_hold_up_its_group,
    many_suspects_of_a_group_do_not_hold_up_the_job_behind_them,
    a_suspect_that_is_due_again_does_not_take_the_turn_of_its_group,
    a_new_job_goes_behind_those_that_its_group_holds_back,
    a_job_that_is_due_goes_behind_those_that_its_group_holds_back,
    what_a_limit_held_back_goes_on_when_it_was_raised,
    a_turn_whose_job_is_gone_goes_to_the_next,
    the_slot_of_a_job_whose_record_is_gone_is_free_again,
    g7_a_trimming_call_looks_after_a_bounded_number_of_gates,
    jobs_that_their_gates_do_not_know_are_found_and_put_back,
    jobs_with_a_gate_that_lost_their_line_are_put_back_behind_their_gates,
    a_delayed_job_of_a_group_that_lost_its_list_goes_to_the_back,
);

/// A group is at its limit, and then is not any more. Random operations seldom meet in this way.
#[derive(Debug)]
struct Squeeze {
    with_suspects: bool,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    any::<bool>().prop_map(|with_suspects| Op::Other(Arc::new(Squeeze { with_suspects })))
}

impl Operation for Squeeze {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let limit = |at_once| Op::Configure {
            by: By::Operator,
            said: QueueSettings::new()
                .group_concurrency(at_once)
                .max_stalls(5),
        };
        let come = |jobs| Op::Flood {
            lane: 0,
            jobs,
            delay_ms: None,
            priority: None,
            gate: Some(Gated::Group("a b")),
        };
        let claim = |suspects| {
            Op::Advance(Turn {
                worker: 0,
                settle: Vec::new(),
                claim: 4,
                claim_bytes: 1 << 20,
                suspects: Suspects {
                    at_most: suspects,
                    alone: true,
                },
                lease_ms: 1_000,
                hold: true,
                handlers: None,
                heard: false,
                again: false,
                traits: true,
                ask: false,
            })
        };
        let judge = || Op::Recover {
            limit: 9,
            lease_ms: 1_000,
            off_ms: 0,
            gap_ms: 1 << 40,
            quiet_ms: 0,
            doubt: Doubt::None,
        };
        let (limit_of_trim, lane_ttl_ms) = (9, 3_600_000);
        let trim = Op::Trim {
            limit: limit_of_trim,
            lane_ttl_ms,
        };
        let ops = match self.with_suspects {
            false => vec![limit(1), come(3), claim(0), limit(3), come(2)],
            true => vec![
                limit(2),
                come(4),
                claim(0),
                Op::Pass { ms: 3_000 },
                judge(),
                limit(1),
                claim(0),
                claim(2),
                limit(3),
                trim,
            ],
        };
        ops.iter().try_for_each(|op| world.step(op))
    }
}

/// What only Redis can lose: memory counts the jobs that run.
mod in_redis_alone {
    use super::*;

    impl Rig {
        fn lose(&mut self, parts: &[&str]) {
            let Subject::Redis(redis) = &mut self.subject else {
                unreachable!("only Redis loses keys");
            };
            for part in parts {
                redis.lose_list(part);
            }
        }
    }

    #[test]
    fn without_what_is_known_of_gates_no_group_has_more_jobs_and_no_order_two() {
        let mut rig = Rig::in_redis();
        rig.set(QueueSettings::new().group_concurrency(2));
        rig.enqueue(&groups(&["g-0", "g-1", "g-2"]));
        rig.enqueue(&[ordered("k-0"), ordered("k-1")]);
        let claimed = rig.claim_some(9);
        assert_eq!(ids(&claimed), ["g-0", "k-0", "g-1"]);
        rig.lose(&["gates"]);
        rig.trim_once();
        rig.enqueue(&groups(&["g-3"]));
        rig.enqueue(&[ordered("k-2")]);
        assert!(rig.claim_ids(9).is_empty());
        assert_eq!(ids(&rig.end(&claimed[0], completed(), 9)), ["g-2"]);
        assert_eq!(ids(&rig.end(&claimed[1], completed(), 9)), ["k-1"]);
    }

    #[test]
    fn an_order_whose_job_waits_for_its_retry_hears_of_it_again() {
        let mut rig = Rig::in_redis();
        rig.enqueue(&[ordered("k-0"), ordered("k-1")]);
        let claimed = rig.claim_some(9);
        rig.end(&claimed[0], retry(MINUTE), 9);
        rig.lose(&["gates"]);
        assert!(rig.orphans(How::PutBack).is_empty());
        rig.trim_once();
        assert!(rig.claim_ids(9).is_empty());
        rig.wait(2 * MINUTE);
        assert_eq!(rig.claim_ids(9), ["k-0"]);
    }

    #[test]
    fn the_jobs_that_run_are_counted_anew() {
        let mut rig = Rig::in_redis();
        rig.set(QueueSettings::new().group_concurrency(1));
        rig.enqueue(&groups(&["g-0", "g-1"]));
        let claimed = rig.claim_some(9);
        assert_eq!(ids(&claimed), ["g-0"]);
        rig.lose(&["running", "gates"]);
        assert!(rig.orphans(How::PutBack).is_empty());
        rig.trim_once();
        assert!(rig.claim_ids(9).is_empty(), "as many as it may have");
        // The job is in no list, and no worker holds it.
        rig.lose(&["active", "claims"]);
        assert_eq!(rig.orphans(How::PutBack), ["g-0"]);
        assert_eq!(rig.claim_ids(9), ["g-0"]);
    }

    #[test]
    fn that_jobs_are_blocked_is_noticed_again() {
        let mut rig = Rig::in_redis();
        rig.enqueue(&groups(&["g-0", "g-1"]));
        rig.lose(&["meta"]);
        assert_eq!(rig.claim_ids(1), ["g-0"]);
        assert!(rig.claim_ids(1).is_empty());
        rig.trim_once();
        assert_eq!(rig.claim_ids(1), ["g-1"]);
    }
}
