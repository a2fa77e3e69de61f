//! The same change of many jobs, in steps.

use std::time::Duration;

use oxcart::{AuditPhase, Changed, Failure, JobId, JobState, Swept};

use crate::rig::{Number, Rig, Running};
use crate::support::ids;

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_sweep_goes_on_where_another_has_ended_and_changes_each_job_once() {
    let rig = Rig::new().await;
    rig.queue.enqueue_many((0..600).map(Number)).await.unwrap();
    let all = || rig.queue.jobs(JobState::Waiting);
    let mut first = all().remove_all();
    let so_far: Swept = first.step().await.unwrap().unwrap().clone();
    assert_eq!((so_far.done, so_far.seen()), (256, 256));
    drop(first);
    assert_eq!(rig.counts().await.waiting, 344);
    // What comes in front of the place where it ended is not its business.
    rig.queue.enqueue(Number(9_999)).front().await.unwrap();
    let cursor = so_far.next.unwrap();
    let mut rest = all().after(cursor).remove_all();
    let mut steps = 0;
    while rest.step().await.unwrap().is_some() {
        steps += 1;
    }
    assert_eq!((rest.so_far().done, rest.so_far().left_alone), (344, 0));
    assert!(rest.so_far().next.is_none() && steps <= 3, "{steps}");
    let left = rig.counts().await;
    assert_eq!((left.waiting, left.totals.removed), (1, 600));
    assert!(all().remove_all().await.unwrap().done == 1);
    assert_eq!(all().remove_all().await.unwrap(), Swept::default());
}

#[tokio::test]
async fn all_that_is_delayed_is_promoted_and_all_that_waits_is_cancelled() {
    let rig = Rig::new().await;
    let far = |n| rig.queue.enqueue(Number(n)).delay(HOUR);
    for n in 0..40 {
        far(n).await.unwrap();
    }
    let delayed = rig.queue.jobs(JobState::Delayed);
    assert_eq!(delayed.promote_all().await.unwrap().done, 40);
    let counts = rig.counts().await;
    assert_eq!((counts.waiting, counts.delayed), (40, 0));
    let waiting = rig.queue.jobs(JobState::Waiting);
    let cancelled = waiting.cancel_all("moot").await.unwrap();
    assert_eq!((cancelled.done, cancelled.requested), (40, 0));
    let cancelled = rig.queue.jobs(JobState::Cancelled);
    assert_eq!(cancelled.remove_all().await.unwrap().done, 40);
    assert_eq!(rig.counts().await.completed, 0);
}

/// The worker fails them again at once, and the list never ends; the sweep does.
#[tokio::test]
async fn what_dies_again_while_all_is_replayed_is_not_replayed_again() {
    let rig = Rig::new().await;
    let fails = async |Number(n): Number| Err::<u32, _>(Failure::dead(format!("no {n}")));
    let running = Running::start(rig.worker().handle(fails).concurrency(50));
    let jobs = rig.queue.enqueue_many((0..300).map(Number)).await.unwrap();
    rig.until(|counts| counts.dead == 300).await;
    let replayed = rig.queue.dead_letters().replay().await.unwrap();
    assert_eq!(replayed.done, 300);
    rig.until(|counts| counts.dead == 300).await;
    assert_eq!(rig.counts().await.totals.replayed, 300);
    running.stop().await;

    let [one, two]: [JobId; 2] = [jobs[0].id().clone(), jobs[1].id().clone()];
    let nobody = JobId::new("nobody").unwrap();
    let many = [two.clone(), nobody, one.clone()];
    let replayed = rig.queue.replay_many(&many).await.unwrap();
    assert_eq!(replayed, [Changed::Done, Changed::NotFound, Changed::Done]);
    assert_eq!(ids(&rig.queue, JobState::Waiting).await, [two, one]);
    let again = rig.queue.replay_many(&many[..1]).await.unwrap();
    assert_eq!(again, [Changed::InState(JobState::Waiting)]);
    let waits = Changed::InState(JobState::Waiting);
    let left = rig.queue.remove_dead(&many).await.unwrap();
    assert_eq!(left, [waits, Changed::NotFound, waits]);
    let removed = rig.queue.remove_many(&many).await.unwrap();
    assert_eq!(removed, [Changed::Done, Changed::NotFound, Changed::Done]);
    let died = jobs[2].id().clone();
    let removed = rig.queue.remove_dead(std::slice::from_ref(&died)).await;
    assert_eq!(removed.unwrap(), [Changed::Done]);
    assert!(rig.queue.job(&died).await.unwrap().is_none());
    let swept = rig
        .queue
        .jobs(JobState::Dead)
        .error_contains("no 29")
        .remove_all()
        .await
        .unwrap();
    assert_eq!(swept.done, 11);
}

#[tokio::test]
async fn jobs_in_a_state_in_which_they_cannot_be_changed_so_are_refused() {
    let rig = Rig::new().await;
    let jobs = |state| rig.queue.jobs(state);
    for refused in [
        jobs(JobState::Active).remove_all(),
        jobs(JobState::Dead).cancel_all("moot"),
        jobs(JobState::Waiting).promote_all(),
    ] {
        assert!(refused.await.unwrap_err().is_invalid());
    }
}

/// However many jobs it is about, it has one entry at its beginning and one at its end.
#[tokio::test]
async fn what_an_operator_sweeps_is_noted() {
    let rig = Rig::new().await;
    let delayed = (0..300).map(|n| rig.queue.enqueue(Number(n)).delay(HOUR));
    let sent = rig.queue.enqueue_many(delayed).await.unwrap();
    let ada = oxcart::Oxcart::builder().operator("ada");
    let ada = ada.connect(&rig.server.url()).await.unwrap();
    let queue = ada.queue("test").unwrap();
    let delayed = queue.jobs(JobState::Delayed).named("number");
    assert_eq!(delayed.promote_all().await.unwrap().done, 300);
    let ids: Vec<JobId> = sent.iter().map(|job| job.id().clone()).collect();
    queue.remove_many(&ids[..3]).await.unwrap();
    let entries = queue.audit().await.unwrap();
    let said: Vec<_> = entries
        .iter()
        .map(|it| (&*it.action, &*it.target, it.phase, it.jobs))
        .collect();
    assert_eq!(
        said,
        [
            ("remove", "3 ids", AuditPhase::Ended, Some(3)),
            ("remove", "3 ids", AuditPhase::Began, None),
            (
                "promote",
                "delayed name=number",
                AuditPhase::Ended,
                Some(300)
            ),
            ("promote", "delayed name=number", AuditPhase::Began, None),
        ]
    );
}
