//! Moving jobs to another queue.

use std::time::Duration;

use oxcart::{
    Changed, Failure, JobState, OnFailure, Order, Queue, QueueSettings, Retention, Unique,
};

use crate::rig::{Number, Rig, Running};
use crate::support::ids;

const HOUR: Duration = Duration::from_secs(3_600);

fn other(rig: &Rig) -> Queue {
    rig.oxcart.queue("other").unwrap()
}

#[tokio::test]
async fn all_that_waits_is_moved_and_runs_there_in_its_order() {
    let rig = Rig::new().await;
    let other = other(&rig);
    let numbers = (0..300).map(|n| {
        rig.queue
            .enqueue(Number(n))
            .priority(if n % 2 == 0 { 7 } else { 900 })
    });
    rig.queue.enqueue_many(numbers).await.unwrap();
    let keyed = rig.queue.enqueue(Number(1_000)).unique(Unique::by("k"));
    let keyed = keyed.header("from", "here").await.unwrap();
    let before = ids(&rig.queue, JobState::Waiting).await;
    let moved = rig.queue.jobs(JobState::Waiting).move_all_to(&other).await;
    let moved = moved.unwrap();
    assert_eq!((moved.done, moved.left_alone), (301, 0));
    assert_eq!(ids(&other, JobState::Waiting).await, before);
    assert_eq!(rig.counts().await.left(), 0);
    assert!(
        rig.oxcart
            .queues()
            .await
            .unwrap()
            .contains(&"other".to_owned())
    );
    let found = other.job(keyed.id()).await.unwrap().unwrap();
    assert_eq!((found.unique.is_some(), found.headers.len()), (true, 1));
    assert_eq!(found.payload::<Number>().unwrap().0, 1_000);
    // Both keys are where their jobs are.
    let taken = other.job_with_key::<Number>("k").await.unwrap();
    assert_eq!(taken.unwrap().id(), keyed.id());
    assert!(
        rig.queue
            .job_with_key::<Number>("k")
            .await
            .unwrap()
            .is_none()
    );
    let again = rig.queue.jobs(JobState::Waiting).move_all_to(&other).await;
    assert_eq!(again.unwrap().seen(), 0);
}

/// Its budget is not fresh there.
#[tokio::test]
async fn a_job_between_two_attempts_and_a_dead_one_keep_what_went_wrong() {
    let rig = Rig::new().await;
    let other = other(&rig);
    let fails = async |Number(n): Number| match n {
        0 => Err::<u32, _>(Failure::retry_after(HOUR, "not yet")),
        _ => Err(Failure::dead("never")),
    };
    let running = Running::start(rig.worker().handle(fails));
    let later = rig.queue.enqueue(Number(0)).attempts(4).await.unwrap();
    let dead = rig.queue.enqueue(Number(1)).await.unwrap();
    rig.until(|counts| (counts.delayed, counts.dead) == (1, 1))
        .await;
    running.stop().await;
    let due_at = later.info().await.unwrap().unwrap().due_at;
    let many = [later.id().clone(), dead.id().clone(), later.id().clone()];
    let changed = rig.queue.move_many(&many, &other).await.unwrap();
    assert_eq!(changed[..2], [Changed::Done, Changed::Done]);
    let moved = other.job(later.id()).await.unwrap().unwrap();
    assert_eq!((moved.state, moved.due_at), (JobState::Delayed, due_at));
    assert_eq!((moved.failed, moved.attempts), (1, 4));
    assert_eq!(moved.history[0].error, "not yet");
    let moved = other.job(dead.id()).await.unwrap().unwrap();
    assert_eq!((moved.state, moved.last_error()), (JobState::Dead, "never"));
    assert_eq!(rig.counts().await.left(), 0);
    for id in &many {
        assert!(rig.queue.job(id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn what_is_blocked_follows_in_its_order() {
    let rig = Rig::new().await;
    let other = other(&rig);
    let order = || Order::by("k").on_failure(OnFailure::Halt);
    let numbers = (0..40).map(|n| rig.queue.enqueue(Number(n)).ordered_by(order()));
    let sent = rig.queue.enqueue_many(numbers).await.unwrap();
    let moved = rig.queue.jobs(JobState::Waiting).move_all_to(&other).await;
    assert_eq!(moved.unwrap().done, 40);
    let sent: Vec<_> = sent.iter().map(|job| job.id().clone()).collect();
    assert_eq!(ids(&other, JobState::Waiting).await, sent[..1]);
    assert_eq!(ids(&other, JobState::Blocked).await, sent[1..]);
}

/// The program died between the two steps.
#[tokio::test]
async fn a_copy_that_a_move_has_left_behind_is_found_by_the_next() {
    if crate::support::road::is_skipped_in_a_cluster("COPY to another slot") {
        return;
    }
    let rig = Rig::new().await;
    let other = other(&rig);
    let sent = rig.queue.enqueue(Number(1)).await.unwrap();
    let keys: Vec<String> = rig.server.ask(&["KEYS", "oxcart:{test}:*"]);
    for key in keys {
        let copy = key.replace("{test}", "{other}");
        assert_eq!(rig.server.ask::<u64>(&["COPY", &key, &copy]), 1);
    }
    assert_eq!(other.counts().await.unwrap().waiting, 1);
    let two = || "two".parse().unwrap();
    rig.queue.enqueue(Number(2)).id(two()).await.unwrap();
    other.enqueue(Number(3)).id(two()).await.unwrap();
    let moved = rig
        .queue
        .jobs(JobState::Waiting)
        .move_all_to(&other)
        .await
        .unwrap();
    // Another job has the id `two` there.
    assert_eq!((moved.done, moved.left_alone), (1, 1));
    assert!(rig.queue.job(sent.id()).await.unwrap().is_none());
    let two = other.job(&two()).await.unwrap().unwrap();
    assert_eq!(two.payload::<Number>().unwrap().0, 3);
    assert_eq!(rig.counts().await.waiting, 1);
}

#[tokio::test]
async fn what_cannot_be_there_as_it_is_here_stays() {
    let rig = Rig::new().await;
    let other = other(&rig);
    let nothing = QueueSettings::new().keep_completed(Retention::Nothing);
    rig.queue.change_settings(nothing).await.unwrap();
    let by = |key: &str| Unique::by(key);
    let taken = rig.queue.enqueue(Number(1)).unique(by("k")).await.unwrap();
    let timed = rig.queue.enqueue(Number(2)).unique(by("t").for_time(HOUR));
    timed.await.unwrap();
    other.enqueue(Number(9)).unique(by("k")).await.unwrap();
    let before = ids(&other, JobState::Waiting).await;
    let moved = rig
        .queue
        .jobs(JobState::Waiting)
        .move_all_to(&other)
        .await
        .unwrap();
    assert_eq!((moved.done, moved.left_alone), (0, 2));
    assert_eq!(ids(&other, JobState::Waiting).await, before);
    let one = std::slice::from_ref(taken.id());
    let told = rig.queue.move_many(one, &other).await.unwrap();
    assert_eq!(told, [Changed::Duplicate]);
    let same = rig.oxcart.queue("test").unwrap();
    let refused = rig.queue.move_many(one, &same).await.unwrap_err();
    assert!(refused.is_invalid(), "{refused}");
    let runs = rig.queue.jobs(JobState::Active).move_all_to(&other);
    assert!(runs.await.unwrap_err().is_invalid());
    assert_eq!(rig.counts().await.waiting, 2);
}
