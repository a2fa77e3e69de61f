//! What is due is in line, in the order of its priority, however much of it there is.

use std::time::Duration;

use super::{Rig, completed, job, on_both, settlement};
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::outcome::{DeadReason, Outcome};
use crate::store::BATCH_JOBS;
use crate::store::counts::Counts;
use crate::store::enqueue::{Due, NewJob};
use crate::store::promote::Promote;
use crate::store::remove::Remove;
use crate::store::replay::Replay;

const MS: Duration = Duration::from_millis(1);

fn of_priority(id: &str, priority: u16) -> NewJob {
    let mut job = job(id);
    job.priority = Some(priority);
    job
}

fn due_after(ms: u64, job: NewJob) -> NewJob {
    let due = Due::After { ms };
    NewJob { due, ..job }
}

fn numbered(name: &str, n: usize) -> Vec<String> {
    (0..n).map(|i| format!("{name}-{i:05}")).collect()
}

fn enqueue(rig: &mut Rig, jobs: &[NewJob]) {
    for part in jobs.chunks(BATCH_JOBS) {
        assert_eq!(rig.enqueue(part), Vec::<usize>::new());
    }
}

/// Enqueues a number of jobs that are due together, and gives their names.
fn burst(rig: &mut Rig, name: &str, n: usize, priority: u16, ms: u64) -> Vec<String> {
    let names = numbered(name, n);
    let jobs = names
        .iter()
        .map(|id| due_after(ms, of_priority(id, priority)));
    enqueue(rig, &jobs.collect::<Vec<_>>());
    names
}

fn in_line(rig: &mut Rig) -> usize {
    let states = rig.call(&Counts).states;
    let waiting = states.iter().find(|(name, _)| name == "waiting");
    waiting.map_or(0, |(_, n)| *n as usize)
}

/// Claims all there is, `at_once` in a call, and completes it; in the order of the claims.
fn claim_all(rig: &mut Rig, at_once: usize) -> Vec<String> {
    let (mut order, mut ended) = (Vec::new(), Vec::new());
    loop {
        let before = in_line(rig);
        let advanced = rig.advance(&ended, at_once);
        let claimed = advanced.claimed;
        assert!(claimed.len() <= at_once);
        let promoted = in_line(rig) + claimed.len() - before;
        assert!(
            promoted <= BATCH_JOBS,
            "{promoted} were promoted in one call"
        );
        if claimed.is_empty() && !advanced.more {
            return order;
        }
        let end = |claim: &crate::store::advance::Claimed| {
            settlement(&claim.id, &claim.receipt, completed())
        };
        ended = claimed.iter().map(end).collect();
        order.extend(claimed.iter().map(|claim| claim.id.to_string()));
    }
}

fn g4_due_jobs_go_by_their_priority_and_before_new_ones(mut rig: Rig) {
    for at_once in [1, 10, 256] {
        rig.clear();
        let mut expected = vec!["urgent".to_owned()];
        expected.extend(burst(&mut rig, "due", 500, 900, 5));
        rig.enqueue(&[due_after(6, of_priority("urgent", 0))]);
        rig.wait(10 * MS);
        // By its name it would be first.
        rig.enqueue(&[of_priority("a-new-one", 900)]);
        expected.push("a-new-one".to_owned());
        assert_eq!(claim_all(&mut rig, at_once), expected);
    }
}

fn g4_what_becomes_ready_between_bursts_is_claimed_between_them(mut rig: Rig) {
    for priority in [0, 500, 1_023] {
        rig.clear();
        let ready = |name| of_priority(name, priority);
        rig.enqueue(&[ready("retried"), ready("dead"), ready("released")]);
        let held = rig.advance(&[], 3).claimed;
        let entry = || AttemptEntry::new(AttemptKind::Error, "broken".into());
        let (reason, after) = (DeadReason::Declared, Duration::ZERO);
        assert!(rig.settle(
            &held[1].id,
            &held[1].receipt,
            Outcome::Dead {
                reason,
                entry: entry()
            }
        ));
        rig.enqueue(&[ready("z-first")]);
        let first = burst(&mut rig, "first", 300, priority, 5);
        let second = burst(&mut rig, "second", 300, priority, 15);
        let third = burst(&mut rig, "third", 300, priority, 25);
        rig.wait(10 * MS);
        rig.enqueue(&[ready("new-2"), ready("new-1")]);
        rig.enqueue(&[ready("new-0")]);
        rig.wait(10 * MS);
        // The call that retries it also promotes.
        let retry = Outcome::Retry {
            after,
            entry: entry(),
        };
        assert!(rig.settle(&held[0].id, &held[0].receipt, retry));
        rig.wait(10 * MS);
        assert_eq!(
            rig.call(&Replay {
                ids: &[held[1].id.clone()]
            })
            .replayed,
            ["dead"]
        );
        assert!(rig.settle(&held[2].id, &held[2].receipt, Outcome::Released));
        let mut front = ready("front");
        front.front = true;
        rig.enqueue(&[front]);
        let some = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected = [
            some(&["front", "released", "z-first"]),
            first,
            some(&["new-2", "new-1", "new-0"]),
            second,
            some(&["retried"]),
            third,
            some(&["dead"]),
        ];
        assert_eq!(claim_all(&mut rig, 7), expected.concat());
    }
}

fn g4_large_claims_do_not_invert_priorities(mut rig: Rig) {
    const JOBS: usize = 20_000;
    let mut jobs: Vec<(u16, u64, NewJob)> = Vec::new();
    for (n, id) in numbered("due", JOBS).iter().enumerate() {
        // The less urgent, the earlier it is due.
        let priority = (n * 7_919 % 1_024) as u16;
        let ms = 1_100 - u64::from(priority) + (n as u64 % 7);
        jobs.push((priority, ms, due_after(ms, of_priority(id, priority))));
    }
    let all: Vec<NewJob> = jobs.iter().map(|(.., job)| job.clone()).collect();
    enqueue(&mut rig, &all);
    rig.wait(2_000 * MS);
    jobs.sort_by_key(|(priority, ms, job)| (*priority, *ms, job.id.to_string()));
    let expected: Vec<String> = jobs.iter().map(|(.., job)| job.id.to_string()).collect();
    assert_eq!(claim_all(&mut rig, BATCH_JOBS), expected);
}

fn g4_what_retries_goes_by_its_priority(mut rig: Rig) {
    let names = numbered("retried", 400);
    let jobs: Vec<NewJob> = names.iter().map(|id| of_priority(id, 900)).collect();
    enqueue(&mut rig, &jobs);
    for _ in 0..2 {
        let retry = || Outcome::Retry {
            after: 5 * MS,
            entry: AttemptEntry::new(AttemptKind::Error, "broken".into()),
        };
        let claimed = rig.advance(&[], 200).claimed;
        let ended = claimed
            .iter()
            .map(|c| settlement(&c.id, &c.receipt, retry()));
        rig.advance(&ended.collect::<Vec<_>>(), 0);
    }
    rig.enqueue(&[due_after(6, of_priority("urgent", 0))]);
    rig.wait(10 * MS);
    rig.enqueue(&[of_priority("a-new-one", 900)]);
    let expected = [
        vec!["urgent".to_owned()],
        names,
        vec!["a-new-one".to_owned()],
    ];
    assert_eq!(claim_all(&mut rig, 10), expected.concat());
}

fn g8_nothing_is_left_of_room_for_jobs_that_are_removed(mut rig: Rig) {
    let names = burst(&mut rig, "due", 10, 900, 5);
    rig.wait(10 * MS);
    rig.enqueue(&[job("new")]);
    assert_eq!(rig.size("delayed"), 10);
    let ids: Vec<JobId> = names.iter().map(|id| JobId::stored(id)).collect();
    assert_eq!(rig.call(&Remove::of(&ids)).removed.len(), 10);
    let meta = rig.subject.dump().names("meta");
    let kept = |name: &&String| name.starts_with("room") || *name == "due";
    assert_eq!(meta.iter().find(kept), None);
    assert_eq!(claim_all(&mut rig, 5), ["new"]);
}

on_both!(
    g4_due_jobs_go_by_their_priority_and_before_new_ones,
    g4_what_becomes_ready_between_bursts_is_claimed_between_them,
    g4_large_claims_do_not_invert_priorities,
    g4_what_retries_goes_by_its_priority,
    g8_nothing_is_left_of_room_for_jobs_that_are_removed,
);

/// Whatever becomes of `meta`.
#[test]
fn g1_a_delayed_job_is_found_without_the_hint_of_when_it_is_due() {
    let mut rig = Rig::in_redis();
    rig.enqueue(&[
        due_after(5, of_priority("low", 900)),
        due_after(5, job("plain")),
    ]);
    let super::Subject::Redis(redis) = &mut rig.subject else {
        unreachable!("it is in Redis")
    };
    let meta = redis.key("meta");
    let _: i64 = redis.ask(redis::cmd("DEL").arg(meta));
    rig.wait(10 * MS);
    assert_eq!(claim_all(&mut rig, 5), ["plain", "low"]);
}

/// One call finds a job that is due later, and then promotes it: nothing is due any more.
#[test]
fn g5_no_moment_of_the_next_due_job_is_left_when_there_is_none() {
    let mut rig = Rig::in_redis();
    rig.enqueue(&[job("retried")]);
    let claim = rig.claim_one().unwrap();
    burst(&mut rig, "first", 64, 500, 10);
    burst(&mut rig, "second", 10, 500, 20);
    rig.wait(100 * MS);
    let promoted = rig.call(&Promote {
        limit: 64,
        worker: "worker",
        hold: true,
    });
    assert_eq!(promoted.moved, 64);
    let retry = Outcome::Retry {
        after: Duration::ZERO,
        entry: AttemptEntry::new(AttemptKind::Error, "once".to_owned()),
    };
    let advanced = rig.advance(&[settlement(&claim.id, &claim.receipt, retry)], 100);
    assert_eq!((advanced.claimed.len(), advanced.next_at_ms), (75, None));
    let super::Subject::Redis(redis) = &mut rig.subject else {
        unreachable!("it is in Redis")
    };
    let meta = redis.key("meta");
    let due: Option<String> = redis.ask(redis::cmd("HGET").arg(meta).arg("due"));
    assert_eq!(due, None, "a job that is delayed next would wake nobody");
}
