//! What single scripts promise beyond the state table.

use std::time::Duration;

use super::{Rig, completed, job, settlement};
use crate::id::{Fence, JobId, Receipt};
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Outcome};
use crate::job::record::EncodedRecord;
use crate::policy::retention::Retention;
use crate::store::BATCH_BYTES;
use crate::store::enqueue::Due;
use crate::store::get::Get;
use crate::store::recover::{Recover, Recovered};

fn failed(after: Duration) -> Outcome {
    Outcome::Retry {
        after,
        entry: AttemptEntry::new(AttemptKind::Error, "broken".into()),
    }
}

fn ids(claimed: &[super::Claimed]) -> Vec<String> {
    claimed.iter().map(|c| c.id.to_string()).collect()
}

#[tokio::test]
async fn g2_a_stale_fence_changes_nothing_and_is_counted() {
    let mut rig = Rig::new();
    rig.enqueue(&[job("a")]).await;
    let claimed = rig.claim_one().await.unwrap();
    let stale = Receipt::new(&format!("{} 1 worker", claimed.fence.get() - 1));
    assert!(!rig.settle(&claimed.id, &stale, completed()).await);
    rig.check_whole(&claimed.id);
    let refused: String = rig.server.ask(&["HGET", rig.key("meta"), "refused"]);
    assert_eq!(refused, "1");
    let twice = [
        settlement(&claimed.id, &claimed.receipt, completed()),
        settlement(&claimed.id, &claimed.receipt, failed(Duration::ZERO)),
    ];
    assert_eq!(rig.advance(&twice, 0).await.refused, [1]);
    rig.check_whole(&claimed.id);
}

#[tokio::test]
async fn g2_fences_grow_even_when_redis_forgot_the_last_one() {
    let mut rig = Rig::new();
    let mut last = Fence(0);
    for round in 0..5 {
        rig.enqueue(&[job(&format!("a{round}")), job(&format!("b{round}"))])
            .await;
        for claimed in rig.advance(&[], 2).await.claimed {
            assert!(claimed.fence > last);
            last = claimed.fence;
        }
        rig.server.cli(&["HDEL", rig.key("meta"), "fence"]);
    }
    // And when the clock went back: the counter carries on.
    let far = (last.get() + 10_000_000).to_string();
    rig.server.cli(&["HSET", rig.key("meta"), "fence", &far]);
    rig.enqueue(&[job("c")]).await;
    assert_eq!(
        rig.claim_one().await.unwrap().fence.get(),
        last.get() + 10_000_001
    );
}

#[tokio::test]
async fn g4_front_goes_first_and_a_retry_goes_last_within_their_priority() {
    let mut rig = Rig::new();
    let mut front = job("front");
    front.front = true;
    let mut fronter = job("fronter");
    fronter.front = true;
    let mut urgent = job("urgent");
    urgent.priority = Some(0);
    let mut last = job("last");
    last.priority = Some(1023);
    rig.enqueue(&[last, job("a"), job("b"), front, fronter, urgent])
        .await;
    let first = rig.claim_one().await.unwrap();
    assert_eq!(first.id.as_str(), "urgent");
    let front = rig.claim_one().await.unwrap();
    assert_eq!(front.id.as_str(), "fronter");
    assert!(
        rig.settle(&front.id, &front.receipt, failed(Duration::ZERO))
            .await
    );
    let rest = rig.advance(&[], 10).await.claimed;
    assert_eq!(ids(&rest), ["front", "a", "b", "fronter", "last"]);
}

#[tokio::test]
async fn g4_a_released_job_gets_its_exact_place_back() {
    let mut rig = Rig::new();
    rig.enqueue(&["a", "b", "c", "d"].map(job)).await;
    let claimed = rig.advance(&[], 2).await.claimed;
    let back: Vec<_> = claimed
        .iter()
        .rev()
        .map(|c| settlement(&c.id, &c.receipt, Outcome::Released))
        .collect();
    rig.advance(&back, 0).await;
    let again = rig.advance(&[], 4).await.claimed;
    assert_eq!(ids(&again), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn g4_a_delayed_job_keeps_its_priority_and_front() {
    let mut rig = Rig::new();
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
    ])
    .await;
    tokio::time::sleep(Duration::from_millis(15)).await;
    let claimed = rig.advance(&[], 10).await.claimed;
    assert_eq!(ids(&claimed), ["high", "front", "a", "plain", "low"]);
    assert_eq!(rig.size("places"), 4, "what was promoted has a new place");
}

#[tokio::test]
async fn g6_the_clock_gate_keeps_recovery_from_judging_after_an_outage() {
    let mut rig = Rig::new();
    rig.lease_ms = 1;
    rig.enqueue(&[job("a")]).await;
    let claimed = rig.claim_one().await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let verb = Recover {
        expected_ms: 1,
        tolerance_ms: 1_000,
        limit: 10,
        max_stalls: 3,
    };
    assert!(matches!(rig.call(&verb).await, Recovered::Unsure { .. }));
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()).await);
}

#[tokio::test]
async fn g7_a_claim_is_bounded_in_bytes_but_never_empty() {
    let mut rig = Rig::new();
    let large = |id: &str, bytes: usize| {
        let mut job = job(id);
        job.record = EncodedRecord::new("test", vec![0; bytes], &JobOptions::new(), Vec::new());
        job
    };
    rig.enqueue(&[large("a", 2 * BATCH_BYTES)]).await;
    let jobs: Vec<_> = (0..30)
        .map(|n| large(&format!("b{n}"), 100 * 1024))
        .collect();
    for part in jobs.chunks(10) {
        rig.enqueue(part).await;
    }
    let first = rig.advance(&[], 100).await;
    assert_eq!(ids(&first.claimed), ["a"]);
    assert!(first.more);
    let next = rig.advance(&[], 100).await;
    assert_eq!(next.claimed.len(), 10);
    assert_eq!(next.claimed[0].id.as_str(), "b0");
    assert!(next.claimed.iter().all(|c| c.payload.is_some()));
    assert_eq!(rig.size("waiting"), 20);
}

#[tokio::test]
async fn g8_nothing_is_left_of_a_job_that_went_through_everything() {
    let mut rig = Rig::new();
    rig.keep = Retention::Remove;
    let mut new = job("a");
    let payload = vec![0; 10_000];
    new.record = EncodedRecord::new("test", payload, &JobOptions::new(), Vec::new());
    new.priority = Some(7);
    rig.enqueue(&[new]).await;
    let id = JobId::new("a").unwrap();
    for _ in 0..25 {
        let claimed = rig.claim_one().await.unwrap();
        let entry = AttemptEntry::new(AttemptKind::Error, "x".repeat(100));
        let after = Duration::ZERO;
        assert!(
            rig.settle(&id, &claimed.receipt, Outcome::Retry { after, entry })
                .await
        );
    }
    let found = rig.call(&Get { id: "a" }).await.unwrap();
    assert_eq!(found.history.len(), 20);
    let claimed = rig.claim_one().await.unwrap();
    assert!(rig.settle(&id, &claimed.receipt, completed()).await);
    rig.check_whole(&id);
    for part in [
        "jobs", "payloads", "attempts", "results", "waiting", "delayed",
    ] {
        assert_eq!(rig.size(part), 0, "{part}");
    }
    assert_eq!(
        (rig.size("active"), rig.size("claims")),
        (1, 1),
        "sentinels"
    );
}

#[tokio::test]
async fn a_dead_job_is_replayed_with_a_fresh_budget_and_its_history() {
    let mut rig = Rig::new();
    let mut new = job("a");
    let options = JobOptions::new().priority(9);
    new.record = EncodedRecord::new("test", vec![0xc0], &options, Vec::new());
    new.priority = Some(9);
    rig.enqueue(&[job("b"), new]).await;
    let claimed = rig.claim_one().await.unwrap();
    assert_eq!(claimed.id.as_str(), "a");
    let dead = Outcome::Dead {
        reason: DeadReason::AttemptsSpent,
        entry: AttemptEntry::new(AttemptKind::Panic, "boom".into()),
    };
    assert!(rig.settle(&claimed.id, &claimed.receipt, dead).await);
    let ids = std::slice::from_ref(&claimed.id);
    let replayed = rig.call(&crate::store::replay::Replay { ids }).await;
    assert_eq!(replayed, ["a"]);
    rig.check_whole(&claimed.id);
    let again = rig.claim_one().await.unwrap();
    assert_eq!(again.id.as_str(), "a", "the priority is kept");
    let counters = crate::job::history::Counters::decode(&again.counters.unwrap()).unwrap();
    assert_eq!((counters.failed, counters.recorded), (0, 1));
}
