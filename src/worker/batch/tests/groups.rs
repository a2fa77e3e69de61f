//! Batches by group.

use std::collections::HashMap;
use std::time::Instant;

use tokio::task::yield_now;
use tokio::time::sleep;

use super::rig::{Rig, Work};
use super::{Batch, LONG, SHORT, completed};
use crate::job::Job;
use crate::job::outcome::Outcome;

/// How many jobs of each group each batch had. No batch has jobs of two groups.
fn batches(rig: &Rig) -> Vec<(Option<String>, usize)> {
    let batches = rig.seen.groups.lock().unwrap().clone();
    let of_one_group = batches.into_iter().map(|groups| {
        assert!(groups.iter().all(|group| *group == groups[0]), "{groups:?}");
        (groups[0].clone(), groups.len())
    });
    of_one_group.collect()
}

fn of(group: &str, jobs: usize) -> (Option<String>, usize) {
    (Some(group.to_owned()), jobs)
}

/// How many jobs wait.
fn waiting(rig: &Rig) -> usize {
    let handler = &rig.worker.handlers[Work::NAME];
    handler.gathering().unwrap().waiting()
}

#[tokio::test]
async fn no_batch_by_group_mixes_groups_and_each_begins_when_its_own_jobs_are_there() {
    let rig = Rig::new(Batch::up_to(3).within(LONG).by_group());
    let groups = ["a", "b", "a", "b", "b", "a", "b"];
    let attempts = rig.claim_of(Work::Succeed, groups.map(Some)).await;
    let outcomes = rig.outcomes(6).await;
    for (one, group) in attempts.iter().zip(groups).take(6) {
        assert_eq!(completed(&outcomes[&one.id]), 3, "{group}");
    }
    // The fourth job of `b` waits for others of its group.
    let mut begun = batches(&rig);
    begun.sort();
    assert_eq!(begun, [of("a", 3), of("b", 3)]);
    assert_eq!(waiting(&rig), 1);
    assert!(!attempts[6].running.is_finished());
    rig.claim_of(Work::Succeed, [Some("b"), Some("a"), Some("b")])
        .await;
    assert_eq!(completed(&rig.outcomes(3).await[&attempts[6].id]), 3);
    assert_eq!(batches(&rig)[2..], [of("b", 3)]);
}

#[tokio::test]
async fn a_job_without_a_group_is_a_batch_by_itself_and_begins_at_once() {
    let rig = Rig::new(Batch::up_to(3).within(LONG).by_group());
    let groups = [None, Some("a"), None, None];
    let attempts = rig.claim_of(Work::Succeed, groups).await;
    let outcomes = rig.outcomes(3).await;
    assert!(!outcomes.contains_key(&attempts[1].id));
    assert_eq!(batches(&rig), [(None, 1), (None, 1), (None, 1)]);
    assert_eq!(waiting(&rig), 1);
}

#[tokio::test]
async fn batches_that_are_not_by_group_take_any_jobs() {
    let rig = Rig::new(Batch::up_to(3).within(LONG));
    rig.claim_of(Work::Succeed, [Some("a"), None, Some("b")])
        .await;
    rig.outcomes(3).await;
    assert_eq!(rig.seen.sizes(), [3]);
}

/// Jobs of one group come again and again; the job of another group waits no longer than its own time.
#[tokio::test]
async fn a_group_that_others_fill_up_begins_within_its_own_time() {
    let rig = Rig::new(Batch::up_to(2).within(10 * SHORT).by_group());
    let began = Instant::now();
    let alone = rig.claim_of(Work::Succeed, [Some("small")]).await;
    let (mut outcomes, mut busy) = (HashMap::new(), 0);
    while !outcomes.contains_key(&alone[0].id) {
        rig.claim_of(Work::Succeed, [Some("large"); 2]).await;
        outcomes.extend(rig.outcomes(1).await);
        busy += 1;
    }
    assert!(busy > 1 && began.elapsed() >= 10 * SHORT);
    assert_eq!(completed(&outcomes[&alone[0].id]), 1);
    assert!(began.elapsed() < LONG);
}

#[tokio::test]
async fn batches_begin_at_once_when_their_jobs_have_all_slots() {
    let rig = Rig::with_slots(Batch::up_to(4).within(LONG).by_group(), 4);
    rig.claim_of(Work::Wait, [None]).await;
    rig.begun(1).await;
    // The job that runs will give back its slot.
    let groups = ["a", "b", "a"].map(Some);
    let attempts = rig.claim_of(Work::Succeed, groups).await;
    sleep(SHORT).await;
    assert!(attempts.iter().all(|one| !one.running.is_finished()));
    rig.stage.permits.add_permits(1);
    rig.outcomes(1).await;
    sleep(SHORT).await;
    assert_eq!((waiting(&rig), rig.seen.sizes()), (3, vec![1]));
    // Nothing else can come any more.
    rig.claim_of(Work::Succeed, [Some("b")]).await;
    assert!(
        rig.outcomes(4)
            .await
            .values()
            .all(|outcome| completed(outcome) == 2)
    );
    let mut begun = batches(&rig);
    begun.sort();
    assert_eq!(begun, [(None, 1), of("a", 2), of("b", 2)]);
}

#[tokio::test]
async fn batches_of_groups_whose_jobs_have_left_are_forgotten() {
    let rig = Rig::new(Batch::up_to(2).within(LONG).by_group());
    for group in 0..200 {
        let group = format!("tenant-{group}");
        let left = rig.claim_of(Work::Succeed, [Some(group.as_str())]).await;
        while waiting(&rig) == 0 {
            yield_now().await;
        }
        assert_eq!(waiting(&rig), 1);
        left[0].lease.cancel.cancel();
        let outcomes = rig.outcomes(1).await;
        assert_eq!(outcomes[&left[0].id], Outcome::Released);
        // What is left of this group goes as the next one opens a batch.
        rig.claim_of(Work::Succeed, [Some("other"); 2]).await;
        rig.outcomes(2).await;
        assert_eq!(waiting(&rig), 0);
    }
    assert_eq!(batches(&rig), vec![of("other", 2); 200]);
}

#[tokio::test]
async fn g1_batches_by_group_that_have_not_begun_are_released_when_the_worker_stops() {
    let rig = Rig::new(Batch::up_to(3).within(LONG).by_group());
    let groups = ["a", "b", "b", "c", "c", "c"].map(Some);
    let attempts = rig.claim_of(Work::Succeed, groups).await;
    let mut outcomes = rig.outcomes(3).await;
    sleep(SHORT).await;
    rig.worker.claims_end.cancel();
    outcomes.extend(rig.outcomes(3).await);
    for (one, at) in attempts.iter().zip(0..) {
        match &outcomes[&one.id] {
            Outcome::Released => assert!(at < 3),
            outcome => assert!(at >= 3 && completed(outcome) == 3),
        }
    }
    assert_eq!(batches(&rig), [of("c", 3)]);
}

#[tokio::test]
async fn g2_a_lost_lease_ends_one_job_of_a_batch_by_group_and_not_the_others() {
    let rig = Rig::new(Batch::up_to(2).within(LONG).by_group());
    let groups = ["a", "b", "a", "b"].map(Some);
    let attempts = rig.claim_of(Work::Wait, groups).await;
    rig.begun(2).await;
    attempts[0].lease.lose(Instant::now());
    attempts[0].lease.stop.cancel();
    let outcomes = rig.outcomes(1).await;
    assert_eq!(outcomes[&attempts[0].id], Outcome::LeaseLost);
    rig.stage.permits.add_permits(3);
    assert!(
        rig.outcomes(3)
            .await
            .values()
            .all(|outcome| completed(outcome) == 2)
    );
}
