//! Unique jobs, as callers see them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use oxcart::{
    Changed, Ended, Enqueued, ErrorKind, EventKind, Failure, Job, JobId, JobState, OnDuplicate,
    Queue, Retention, State, Unique,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::rig::{Number, PATIENCE, Rig, Running};

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Serialize, Deserialize)]
struct Charge {
    customer: u64,
    cents: u64,
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    type Output = String;

    fn unique(&self) -> Option<Unique> {
        Some(Unique::by(self.customer.to_string()))
    }
}

async fn charge(job: Charge) -> Result<String, Failure> {
    match job.cents {
        0 => Err(Failure::dead("nothing to charge")),
        cents => Ok(format!("{cents} from {}", job.customer)),
    }
}

fn of(customer: u64, cents: u64) -> Charge {
    Charge { customer, cents }
}

#[tokio::test]
async fn a_type_makes_its_key_of_its_own_fields() {
    let rig = Rig::new().await;
    let first = rig.queue.enqueue(of(7, 100)).await.unwrap();
    assert_eq!(first.enqueued(), Enqueued::New);
    assert_eq!(
        first.info().await.unwrap().unwrap().unique.as_deref(),
        Some("7")
    );
    let second = rig.queue.enqueue(of(7, 200)).await.unwrap();
    assert_eq!(
        (second.enqueued(), second.id()),
        (Enqueued::Duplicate, first.id())
    );
    let other = rig.queue.enqueue(of(8, 100)).await.unwrap();
    assert_eq!(other.enqueued(), Enqueued::New);
    // Where it is enqueued, a job can get another key.
    let another = rig
        .queue
        .enqueue(of(7, 300))
        .unique("another")
        .await
        .unwrap();
    assert_eq!(another.enqueued(), Enqueued::New);
}

#[tokio::test]
async fn the_caller_of_a_duplicate_gets_the_result_of_the_job_that_is_there() {
    let rig = Rig::new().await;
    let post = async |queue: &Queue, cents| {
        let once = Unique::by("request-17").for_time(HOUR);
        let request = queue.enqueue(of(7, cents)).unique(once);
        let request = request.keep(Retention::For(HOUR));
        request.result().within(PATIENCE).await.unwrap()
    };
    let worker = Running::start(rig.worker().handle(charge));
    let both = tokio::join!(post(&rig.queue, 100), post(&rig.queue, 100));
    assert_eq!(both.0, both.1);
    // It has ended, and is remembered.
    assert_eq!(post(&rig.queue, 999).await, "100 from 7");
    worker.stop().await;
    assert_eq!(rig.counts().await.totals.completed, 1);
}

#[tokio::test]
async fn g3_jobs_of_one_batch_meet_each_other() {
    let rig = Rig::new().await;
    let jobs = [of(1, 1), of(2, 1), of(1, 2), of(2, 2), of(3, 1)];
    let handles = rig.queue.enqueue_many(jobs).await.unwrap();
    let told: Vec<Enqueued> = handles.iter().map(|handle| handle.enqueued()).collect();
    use Enqueued::{Duplicate, New};
    assert_eq!(told, [New, New, Duplicate, Duplicate, New]);
    assert_eq!(
        (handles[2].id(), handles[3].id()),
        (handles[0].id(), handles[1].id())
    );
    assert_eq!(rig.counts().await.waiting, 3);
    // More than one call.
    let many = (0..1_000).map(|n| of(n % 10 + 100, n));
    let handles = rig.queue.enqueue_many(many).await.unwrap();
    let new = handles.iter().filter(|handle| handle.enqueued() == New);
    assert_eq!((handles.len(), new.count()), (1_000, 10));
}

#[tokio::test]
async fn a_job_that_waits_is_replaced_and_events_tell() {
    let rig = Rig::new().await;
    let mut events = rig.queue.events().await.unwrap();
    let last = |cents| {
        let unique = Unique::by("7").on_duplicate(OnDuplicate::Replace);
        rig.queue.enqueue(of(7, cents)).unique(unique)
    };
    let first = last(100).await.unwrap();
    let second = last(200).priority(3).await.unwrap();
    assert_eq!(
        (second.enqueued(), second.id()),
        (Enqueued::Replaced, first.id())
    );
    let info = second.info().await.unwrap().unwrap();
    assert_eq!(
        (info.payload::<Charge>().unwrap().cents, info.priority),
        (200, 3)
    );
    let replaced = async {
        while let Some(event) = events.next().await {
            if event.kind == EventKind::Replaced(first.id().clone()) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, replaced).await.unwrap();
    let worker = Running::start(rig.worker().handle(charge));
    assert_eq!(first.result().within(PATIENCE).await.unwrap(), "200 from 7");
    worker.stop().await;
}

#[tokio::test]
async fn a_dead_job_whose_key_another_job_has_is_not_replayed() {
    let rig = Rig::new().await;
    let worker = Running::start(rig.worker().handle(charge));
    let dead = rig.queue.enqueue(of(7, 0)).await.unwrap();
    assert!(dead.result().within(PATIENCE).await.unwrap_err().is_dead());
    worker.stop().await;
    let newer = rig.queue.enqueue(of(7, 1)).await.unwrap();
    assert_eq!(newer.enqueued(), Enqueued::New);
    let told = rig.queue.replay(dead.id()).await.unwrap();
    assert_eq!(told, Changed::Duplicate);
    assert_eq!(rig.queue.remove(newer.id()).await.unwrap(), Changed::Done);
    assert_eq!(rig.queue.replay(dead.id()).await.unwrap(), Changed::Done);
}

#[tokio::test]
async fn an_id_of_ones_own_is_looked_up_before_the_key() {
    let rig = Rig::new().await;
    let id = |text: &str| JobId::new(text).unwrap();
    let first = rig.queue.enqueue(of(7, 1)).id(id("mine")).await.unwrap();
    assert_eq!(first.enqueued(), Enqueued::New);
    let again = rig.queue.enqueue(of(8, 1)).id(id("mine")).await.unwrap();
    assert_eq!(again.enqueued(), Enqueued::AlreadyThere);
    let other = rig.queue.enqueue(of(7, 1)).id(id("other")).await.unwrap();
    assert_eq!(
        (other.enqueued(), other.id()),
        (Enqueued::Duplicate, first.id())
    );
    assert_eq!(rig.counts().await.left(), 1);
}

#[tokio::test]
async fn keys_that_mean_nothing_are_refused_before_anything_is_sent() {
    let rig = Rig::new().await;
    for unique in [
        Unique::by(""),
        Unique::by("x".repeat(513)),
        Unique::by("x").for_time(Duration::ZERO),
        Unique::by("x")
            .for_time(HOUR)
            .on_duplicate(OnDuplicate::KeepLatest),
    ] {
        let refused = rig.queue.enqueue(Number(1)).unique(unique).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(rig.counts().await.left(), 0);
}

#[tokio::test]
async fn a_job_that_comes_too_late_never_starts_and_its_waiter_is_told_at_that_moment() {
    let rig = Rig::new().await;
    let blocker = rig.worker().concurrency(1).handle(charge);
    rig.queue.pause().await.unwrap();
    let worker = Running::start(blocker);
    let short = Duration::from_millis(300);
    let job = rig.queue.enqueue(of(7, 1)).expires_in(short).await.unwrap();
    tokio::time::sleep(short).await;
    rig.queue.resume().await.unwrap();
    let error = job.result().within(PATIENCE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Expired);
    assert!(error.is_expired() && !error.is_cancelled());
    assert!(error.to_string().contains("expired before it started"));
    let info = job.info().await.unwrap().unwrap();
    assert_eq!(
        (info.ended, info.state),
        (Some(Ended::Expired), JobState::Cancelled)
    );
    worker.stop().await;
    let counts = rig.counts().await;
    let totals = counts.totals;
    assert_eq!(
        (totals.completed, totals.cancelled, totals.expired),
        (0, 1, 1)
    );

    // Without a free moment before: a worker comes back for a job that is delayed for longer.
    let soon = SystemTime::now() + short;
    let later = rig.queue.enqueue(of(8, 1)).unique("later");
    let later = later.expires_at(soon).await.unwrap();
    let put_off = rig.queue.edit(later.id()).delay(HOUR).await;
    assert_eq!(put_off.unwrap(), Changed::Done);
    let worker = Running::start(rig.worker().handle(charge));
    let error = later.result().within(Duration::from_secs(10)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Expired);
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_could_never_start_or_never_expire_is_refused() {
    let rig = Rig::new().await;
    let new = || rig.queue.enqueue(of(9, 1));
    let (now, day) = (SystemTime::now(), 24 * HOUR);
    let far = now + 4_000 * day;
    for wrong in [
        new().delay(HOUR).expires_in(HOUR),
        new().at(now + HOUR).expires_at(now + HOUR),
        new().at(now + day).expires_in(HOUR),
        new().delay(day).expires_at(now + HOUR),
        new().expires_at(far),
        new().expires_in(Duration::ZERO),
    ] {
        assert_eq!(wrong.await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    for fine in [
        new().delay(HOUR).expires_in(day),
        new().at(now + HOUR).expires_at(now + day),
        new().at(now + HOUR).expires_in(day),
        new().delay(HOUR).expires_at(now + day),
    ] {
        fine.await.unwrap();
    }
}

/// As soon as it may.
async fn charge_slowly(job: Charge, gate: State<Arc<Semaphore>>) -> Result<String, Failure> {
    gate.acquire().await.expect("it is open").forget();
    charge(job).await
}

/// Never two of a key at once, and the last payload always runs.
#[tokio::test]
async fn the_last_of_many_requests_runs_after_the_job_that_runs() {
    let rig = Rig::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let builder = rig.worker().concurrency(4).state(Arc::clone(&gate));
    let worker = Running::start(builder.handle(charge_slowly));
    let latest = |cents| {
        let unique = Unique::by("7").on_duplicate(OnDuplicate::KeepLatest);
        rig.queue.enqueue(of(7, cents)).unique(unique)
    };
    let first = latest(1).await.unwrap();
    rig.until(|counts| counts.active == 1).await;
    let second = latest(2).await.unwrap();
    assert_eq!(second.enqueued(), Enqueued::New);
    for cents in 3..10 {
        let again = latest(cents).await.unwrap();
        assert_eq!(
            (again.enqueued(), again.id()),
            (Enqueued::Replaced, second.id())
        );
    }
    let counts = rig.counts().await;
    assert_eq!((counts.active, counts.blocked), (1, 1));
    let owner = rig.queue.job_with_key::<Charge>("7").await.unwrap();
    assert_eq!(owner.unwrap().id(), first.id());
    let named = rig.queue.jobs_named(Charge::NAME).unwrap();
    assert_eq!(
        named.with_key("7").await.unwrap().as_ref(),
        Some(first.id())
    );
    gate.add_permits(2);
    assert_eq!(first.result().within(PATIENCE).await.unwrap(), "1 from 7");
    assert_eq!(second.result().within(PATIENCE).await.unwrap(), "9 from 7");
    let owner = rig.queue.job_with_key::<Charge>("7").await.unwrap();
    assert!(owner.is_none());
    worker.stop().await;
}

#[tokio::test]
async fn a_key_is_asked_for_only_if_it_means_something() {
    let rig = Rig::new().await;
    for key in ["", &"x".repeat(513)] {
        let refused = rig.queue.job_with_key::<Charge>(key).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
        let refused = rig.queue.jobs_named("charge").unwrap().with_key(key).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn a_job_that_is_debounced_has_a_delay() {
    let rig = Rig::new().await;
    let debounced = || {
        let unique = Unique::by("7").on_duplicate(OnDuplicate::Debounce);
        rig.queue.enqueue(of(7, 100)).unique(unique)
    };
    let error = debounced().await.unwrap_err();
    assert!(
        error.is_invalid() && error.to_string().contains("`delay`"),
        "{error}"
    );
    assert!(
        debounced()
            .delay(Duration::ZERO)
            .await
            .unwrap_err()
            .is_invalid()
    );
    assert_eq!(rig.counts().await.left(), 0);
    let first = debounced().delay(HOUR).await.unwrap();
    assert_eq!(first.enqueued(), Enqueued::New);
    let second = debounced().at(SystemTime::now() + 2 * HOUR).await.unwrap();
    assert_eq!(second.enqueued(), Enqueued::Replaced);
    let due = second.info().await.unwrap().unwrap().due_at.unwrap();
    assert!(SystemTime::from(due) > SystemTime::now() + HOUR);
}
