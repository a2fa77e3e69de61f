//! What single scripts promise beyond the state table.

use std::time::Duration;

use super::{Rig, completed, job, on_both, settlement};
use crate::id::{Fence, JobId, Receipt};
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Outcome};
use crate::job::record::EncodedRecord;
use crate::policy::settings::QueueSettings;
use crate::store::BATCH_BYTES;
use crate::store::advance::{Advance, Answer, Suspects};
use crate::store::enqueue::Due;
use crate::store::get::Get;
use crate::store::recover::{Doubt, Recover, Recovered};

fn failed(after: Duration) -> Outcome {
    Outcome::Retry {
        after,
        entry: AttemptEntry::new(AttemptKind::Error, "broken".into()),
    }
}

fn ids(claimed: &[super::Claimed]) -> Vec<String> {
    claimed.iter().map(|c| c.id.to_string()).collect()
}

fn g2_a_stale_fence_changes_nothing_and_is_counted(mut rig: Rig) {
    rig.enqueue(&[job("a")]);
    let claimed = rig.claim_one().unwrap();
    let stale = Receipt::new(&format!("{} 1 worker", claimed.fence.get() - 1));
    assert!(!rig.settle(&claimed.id, &stale, completed()));
    rig.check_whole(&claimed.id);
    assert_eq!(rig.total("refused"), 1);
    let twice = [
        settlement(&claimed.id, &claimed.receipt, completed()),
        settlement(&claimed.id, &claimed.receipt, failed(Duration::ZERO)),
    ];
    assert_eq!(rig.advance(&twice, 0).refused, [1]);
    rig.check_whole(&claimed.id);
}

fn g2_fences_grow_even_when_redis_forgot_the_last_one(mut rig: Rig) {
    let mut last = Fence(0);
    for round in 0..5 {
        rig.enqueue(&[job(&format!("a{round}")), job(&format!("b{round}"))]);
        for claimed in rig.advance(&[], 2).claimed {
            assert!(claimed.fence > last);
            last = claimed.fence;
        }
        rig.subject.set_fence(None);
        rig.wait(Duration::from_millis(1));
    }
    // And when the clock went back: the counter carries on.
    rig.subject.set_fence(Some(last.get() + 10_000_000));
    rig.enqueue(&[job("c")]);
    assert_eq!(
        rig.claim_one().unwrap().fence.get(),
        last.get() + 10_000_001
    );
}

fn g4_front_goes_first_and_a_retry_goes_last_within_their_priority(mut rig: Rig) {
    let mut front = job("front");
    front.front = true;
    let mut fronter = job("fronter");
    fronter.front = true;
    let mut urgent = job("urgent");
    urgent.priority = Some(0);
    let mut last = job("last");
    last.priority = Some(1023);
    rig.enqueue(&[last, job("a"), job("b"), front, fronter, urgent]);
    let first = rig.claim_one().unwrap();
    assert_eq!(first.id.as_str(), "urgent");
    let front = rig.claim_one().unwrap();
    assert_eq!(front.id.as_str(), "fronter");
    assert!(rig.settle(&front.id, &front.receipt, failed(Duration::ZERO)));
    let rest = rig.advance(&[], 10).claimed;
    assert_eq!(ids(&rest), ["front", "a", "b", "fronter", "last"]);
}

fn g4_a_released_job_gets_its_exact_place_back(mut rig: Rig) {
    rig.enqueue(&["a", "b", "c", "d"].map(job));
    let claimed = rig.advance(&[], 2).claimed;
    let back: Vec<_> = claimed
        .iter()
        .rev()
        .map(|c| settlement(&c.id, &c.receipt, Outcome::Released))
        .collect();
    rig.advance(&back, 0);
    let again = rig.advance(&[], 4).claimed;
    assert_eq!(ids(&again), ["a", "b", "c", "d"]);
}

fn g4_a_delayed_job_keeps_its_priority_and_front(mut rig: Rig) {
    let delayed = |id: &str, priority, front| {
        let mut job = job(id);
        job.due = Due::After { ms: 5 };
        job.priority = priority;
        job.front = front;
        job
    };
    rig.enqueue(&[
        job("a"),
        delayed("low", Some(900), false),
        delayed("high", Some(3), false),
        delayed("front", None, true),
        delayed("plain", None, false),
    ]);
    rig.wait(Duration::from_millis(15));
    let claimed = rig.advance(&[], 10).claimed;
    assert_eq!(ids(&claimed), ["high", "front", "a", "plain", "low"]);
    assert_eq!(rig.size("places"), 4, "what was promoted has a new place");
}

const TOLERANCE_MS: u64 = 1_000;
const LEASE_MS: u64 = 2_000;
const GAP_MS: u64 = 10_000;
const QUIET_MS: u64 = 5_000;

impl Rig {
    /// Recovery looks, `off_ms` before what it expects the clock to show: how many it took back, or
    /// for how long no worker judges, and how many leases were pulled back.
    fn look(&mut self, off_ms: u64, doubt: Doubt) -> Result<usize, (u64, usize)> {
        let verb = Recover {
            expected_ms: self.now_us / 1_000 - off_ms,
            tolerance_ms: TOLERANCE_MS,
            limit: 3,
            lease_ms: LEASE_MS,
            gap_ms: GAP_MS,
            quiet_ms: QUIET_MS,
            doubt,
        };
        match self.call(&verb) {
            Recovered::Done { stalled, dead, .. } => Ok(stalled.len() + dead.len()),
            Recovered::Unsure {
                now_ms,
                from_ms,
                pulled,
                ..
            } => Err((from_ms.saturating_sub(now_ms), pulled)),
        }
    }

    /// Looks every second, for so long.
    fn look_on(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.wait(SECOND);
            let _ = self.look(0, Doubt::None);
        }
    }

    /// A job whose worker died, in a queue that is looked after.
    fn with_a_dead_worker(&mut self) {
        self.lease_ms = LEASE_MS;
        let _ = self.look(0, Doubt::None);
        self.look_on(QUIET_MS / 1_000);
        self.enqueue(&[job("a")]);
        self.claim_one().unwrap();
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn g6_a_lease_is_judged_when_it_is_over_for_longer_than_the_clock_may_be_wrong(mut rig: Rig) {
    rig.with_a_dead_worker();
    rig.wait(Duration::from_millis(LEASE_MS + TOLERANCE_MS - 1));
    assert_eq!(rig.look(0, Doubt::None), Ok(0));
    rig.wait(Duration::from_millis(1));
    assert_eq!(rig.look(TOLERANCE_MS + 1, Doubt::None), Err((0, 0)));
    assert_eq!(rig.look(TOLERANCE_MS, Doubt::None), Ok(1));
}

fn g6_nobody_judges_before_the_living_could_renew(mut rig: Rig) {
    assert_eq!(rig.look(0, Doubt::None), Err((QUIET_MS, 0)), "never seen");
    rig.with_a_dead_worker();
    rig.wait(Duration::from_millis(GAP_MS));
    assert_eq!(rig.look(0, Doubt::None), Ok(1), "somebody was there");

    rig.enqueue(&[job("b")]);
    rig.advance(&[], 2);
    rig.wait(Duration::from_millis(GAP_MS + 1));
    assert_eq!(rig.look(0, Doubt::None), Err((QUIET_MS, 0)), "nobody was");
    rig.wait(Duration::from_millis(QUIET_MS - 1));
    assert_eq!(rig.look(0, Doubt::None), Err((1, 0)));
    rig.wait(Duration::from_millis(1));
    assert_eq!(rig.look(0, Doubt::None), Ok(2));

    rig.advance(&[], 2);
    rig.look_on(4);
    assert_eq!(rig.look(0, Doubt::Jumped), Err((QUIET_MS, 0)));
}

fn g6_workers_in_trouble_put_judging_off_but_not_for_ever(mut rig: Rig) {
    rig.with_a_dead_worker();
    let mut put_off = 0;
    loop {
        rig.wait(3 * SECOND);
        match rig.look(0, Doubt::Away) {
            Err((left_ms, 0)) => assert!(left_ms > 0 && put_off < 15, "{put_off} times"),
            found => break assert_eq!(found, Ok(1)),
        }
        put_off += 1;
    }
    assert!((8..=14).contains(&put_off), "{put_off} times");
}

fn g6_no_lease_ends_later_than_it_can_have_been_set(mut rig: Rig) {
    rig.with_a_dead_worker();
    rig.enqueue(&["b", "c", "d"].map(job));
    rig.advance(&[], 3);
    rig.now_us -= 3_600_000_000;
    rig.wait(SECOND);
    // In bounded calls.
    assert_eq!(rig.look(0, Doubt::None), Err((QUIET_MS, 3)));
    assert_eq!(rig.look(0, Doubt::None), Err((QUIET_MS, 1)));
    rig.wait(Duration::from_millis(QUIET_MS));
    assert_eq!(rig.look(0, Doubt::None), Ok(3));
    assert_eq!(rig.look(0, Doubt::None), Ok(1));
}

fn g6_a_longer_lease_is_known_for_as_long_as_it_holds(mut rig: Rig) {
    rig.with_a_dead_worker();
    let day = 86_400_000;
    let look = |rig: &mut Rig, lease_ms| {
        let verb = Recover {
            expected_ms: rig.now_us / 1_000,
            tolerance_ms: TOLERANCE_MS,
            limit: 10,
            lease_ms,
            gap_ms: u64::MAX >> 12,
            quiet_ms: 0,
            doubt: Doubt::None,
        };
        match rig.call(&verb) {
            Recovered::Unsure { pulled, .. } => pulled,
            Recovered::Done { .. } => 0,
        }
    };
    look(&mut rig, day);
    rig.lease_ms = day;
    rig.enqueue(&[job("long")]);
    assert_eq!(rig.claim_one().unwrap().id.as_str(), "long");
    rig.wait(Duration::from_millis(day / 2));
    look(&mut rig, LEASE_MS);
    assert_eq!(rig.size("active"), 1, "that of the dead was taken back");
    rig.wait(Duration::from_millis(day / 2 + 1));
    // No worker with such a lease has looked for a day: that lease is over, too.
    rig.advance(&[], 1);
    look(&mut rig, LEASE_MS);
    assert_eq!(look(&mut rig, LEASE_MS), 0);
    let dump = rig.subject.dump();
    let known = dump.get("meta", "recovery").unwrap().clone();
    let known = String::from_utf8(known).unwrap();
    assert_eq!(known.split(' ').nth(2).unwrap(), LEASE_MS.to_string());
}

/// Five suspects: their worker died once.
fn suspects(rig: &mut Rig) {
    rig.with_a_dead_worker();
    rig.enqueue(&["b", "c", "d", "e"].map(job));
    rig.advance(&[], 4);
    rig.wait(4 * SECOND);
    assert_eq!(rig.look(0, Doubt::None), Ok(3));
    assert_eq!(rig.look(0, Doubt::None), Ok(2));
    assert_eq!(rig.size("suspects"), 5);
}

impl Rig {
    fn claim_suspects(&mut self, claim: usize, suspects: Suspects) -> Vec<String> {
        self.call += 1;
        let verb = Advance {
            lane: self.lane,
            call: self.call,
            worker: "worker",
            settle: &[],
            claim,
            claim_bytes: BATCH_BYTES,
            suspects,
            lease_ms: self.lease_ms,
            hold: true,
            handlers: None,
            heard: 0,
            again: false,
            traits: false,
            ask: false,
        };
        match self.call(&verb) {
            Answer::Advanced(advanced) => ids(&advanced.claimed),
            other => panic!("{other:?}"),
        }
    }
}

fn g6_suspects_with_stalls_to_spare_run_together_in_their_place(mut rig: Rig) {
    suspects(&mut rig);
    let mut urgent = job("urgent");
    urgent.priority = Some(0);
    rig.enqueue(&[urgent, job("later"), job("last")]);
    let asked = |at_most, alone| Suspects { at_most, alone };
    let together = asked(3, false);
    assert_eq!(rig.claim_suspects(2, together), ["a", "urgent"]);
    assert_eq!(rig.claim_suspects(4, together), ["b", "c", "d", "later"]);
    // After another stall they would have two chances left.
    rig.set(QueueSettings::new().max_stalls(3));
    assert_eq!(rig.claim_suspects(1, asked(3, false)), ["last"]);
    assert!(rig.claim_suspects(5, asked(3, false)).is_empty());
    assert_eq!(rig.claim_suspects(5, asked(3, true)), ["e"]);

    // A second crash, and with it all of them must be alone.
    rig.wait(4 * SECOND);
    while rig.look(0, Doubt::None) != Ok(0) {}
    // The others stall for the first time.
    rig.set(QueueSettings::new().max_stalls(4));
    let group = rig.claim_suspects(9, asked(9, true));
    assert_eq!(group.len(), 1, "{group:?}");
}

fn g7_a_claim_is_bounded_in_bytes_but_never_empty(mut rig: Rig) {
    let large = |id: &str, bytes: usize| {
        let mut job = job(id);
        job.record = EncodedRecord::new("test", vec![0; bytes], &JobOptions::new(), Vec::new());
        job
    };
    rig.enqueue(&[large("a", 2 * BATCH_BYTES)]);
    let jobs: Vec<_> = (0..30)
        .map(|n| large(&format!("b{n}"), 100 * 1024))
        .collect();
    for part in jobs.chunks(10) {
        rig.enqueue(part);
    }
    let first = rig.advance(&[], 100);
    assert_eq!(ids(&first.claimed), ["a"]);
    assert!(first.more);
    let next = rig.advance(&[], 100);
    assert_eq!(next.claimed.len(), 10);
    assert_eq!(next.claimed[0].id.as_str(), "b0");
    assert!(next.claimed.iter().all(|c| c.payload.is_some()));
    assert_eq!(rig.size("waiting"), 20);
}

fn g8_nothing_is_left_of_a_job_that_went_through_everything(mut rig: Rig) {
    rig.keep_nothing();
    let mut new = job("a");
    let payload = vec![0; 10_000];
    new.record = EncodedRecord::new("test", payload, &JobOptions::new(), Vec::new());
    new.priority = Some(7);
    rig.enqueue(&[new]);
    let id = JobId::new("a").unwrap();
    for _ in 0..25 {
        let claimed = rig.claim_one().unwrap();
        let entry = AttemptEntry::new(AttemptKind::Error, "x".repeat(100));
        let after = Duration::ZERO;
        assert!(rig.settle(&id, &claimed.receipt, Outcome::Retry { after, entry }));
    }
    let found = rig.call(&Get { id: "a" }).unwrap();
    assert_eq!(found.history.len(), 20);
    let claimed = rig.claim_one().unwrap();
    assert!(rig.settle(&id, &claimed.receipt, completed()));
    rig.check_whole(&id);
    for part in [
        "jobs", "payloads", "attempts", "results", "waiting", "delayed",
    ] {
        assert_eq!(rig.size(part), 0, "{part}");
    }
    assert_eq!((rig.size("active"), rig.size("claims")), (0, 0));
}

fn a_dead_job_is_replayed_with_a_fresh_budget_and_its_history(mut rig: Rig) {
    let mut new = job("a");
    let options = JobOptions::new().priority(9);
    new.record = EncodedRecord::new("test", vec![0xc0], &options, Vec::new());
    new.priority = Some(9);
    rig.enqueue(&[job("b"), new]);
    let claimed = rig.claim_one().unwrap();
    assert_eq!(claimed.id.as_str(), "a");
    let dead = Outcome::Dead {
        reason: DeadReason::AttemptsSpent,
        entry: AttemptEntry::new(AttemptKind::Panic, "boom".into()),
    };
    assert!(rig.settle(&claimed.id, &claimed.receipt, dead));
    let ids = std::slice::from_ref(&claimed.id);
    let replayed = rig.call(&crate::store::replay::Replay { ids });
    assert_eq!(replayed.replayed, ["a"]);
    rig.check_whole(&claimed.id);
    let again = rig.claim_one().unwrap();
    assert_eq!(again.id.as_str(), "a", "the priority is kept");
    let counters = crate::job::history::Counters::decode(&again.counters.unwrap()).unwrap();
    assert_eq!((counters.failed, counters.recorded), (0, 1));
}

on_both!(
    g2_a_stale_fence_changes_nothing_and_is_counted,
    g2_fences_grow_even_when_redis_forgot_the_last_one,
    g4_front_goes_first_and_a_retry_goes_last_within_their_priority,
    g4_a_released_job_gets_its_exact_place_back,
    g4_a_delayed_job_keeps_its_priority_and_front,
    g6_a_lease_is_judged_when_it_is_over_for_longer_than_the_clock_may_be_wrong,
    g6_nobody_judges_before_the_living_could_renew,
    g6_workers_in_trouble_put_judging_off_but_not_for_ever,
    g6_no_lease_ends_later_than_it_can_have_been_set,
    g6_a_longer_lease_is_known_for_as_long_as_it_holds,
    g6_suspects_with_stalls_to_spare_run_together_in_their_place,
    g7_a_claim_is_bounded_in_bytes_but_never_empty,
    g8_nothing_is_left_of_a_job_that_went_through_everything,
    a_dead_job_is_replayed_with_a_fresh_budget_and_its_history,
);
