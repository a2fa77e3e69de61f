//! Batch handlers of a worker that runs.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oxcart::{Batch, Batched, Failure, Job, JobState, Outcome, State};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::rig::{Number, PATIENCE, Rig, Running};
use crate::support::{eventually, ids};

const LONG: Duration = Duration::from_secs(10);

/// The batches that the handler got, and what lets it end.
#[derive(Clone)]
struct Stage {
    batches: Arc<Mutex<Vec<Vec<u32>>>>,
    permits: Arc<Semaphore>,
}

impl Stage {
    fn new(permits: usize) -> Self {
        Self {
            batches: Arc::default(),
            permits: Arc::new(Semaphore::new(permits)),
        }
    }

    fn batches(&self) -> Vec<Vec<u32>> {
        self.batches.lock().unwrap().clone()
    }
}

/// Each batch takes a permit; what is divisible by 10 fails.
async fn square(numbers: Vec<Batched<Number>>, stage: State<Stage>) -> Result<(), Failure> {
    let batch = numbers.iter().map(|number| number.job.0).collect();
    stage.batches.lock().unwrap().push(batch);
    stage.permits.acquire().await?.forget();
    for number in numbers {
        match number.job.0 {
            n if n % 10 == 0 => number.fail("divisible by 10"),
            n => number.complete(n * n),
        }
    }
    Ok(())
}

#[tokio::test]
async fn each_job_of_a_batch_has_its_own_result_and_its_own_retries() {
    let (rig, stage) = (Rig::new().await, Stage::new(1_000));
    let batch = Batch::up_to(20).within(Duration::from_millis(20));
    let worker = rig.worker().concurrency(40).state(stage.clone());
    let running = Running::start(worker.handle_batch(batch, square));
    let numbers = (1..=100).map(|n| rig.queue.enqueue(Number(n)).attempts(1));
    let sent = rig.queue.enqueue_many(numbers).await.unwrap();
    for (one, n) in sent.iter().zip(1..) {
        match one.result().await {
            Ok(square) => assert_eq!(square, n * n),
            Err(error) => assert!(n % 10 == 0 && error.is_dead(), "{n}: {error}"),
        }
    }
    let mut handled = stage.batches().concat();
    assert!(stage.batches().iter().all(|batch| batch.len() <= 20));
    handled.sort_unstable();
    assert_eq!(handled, (1..=100).collect::<Vec<_>>());
    let retried = rig.queue.enqueue(Number(10)).attempts(2);
    let retried = retried.backoff(oxcart::Backoff::NONE).await.unwrap();
    assert!(retried.result().await.unwrap_err().is_dead());
    assert_eq!(retried.info().await.unwrap().unwrap().failed, 2);
    running.stop().await;
    let counts = rig.counts().await;
    assert_eq!((counts.dead, counts.completed), (11, 90));
    assert_eq!((counts.active, counts.totals.stalled), (0, 0));
}

/// A job that has not begun within a second goes back to the queue. One that waits for its batch has begun.
#[tokio::test]
async fn jobs_that_wait_for_their_batch_for_long_are_not_given_back() {
    let (rig, stage) = (Rig::new().await, Stage::new(10));
    let batch = Batch::up_to(5).within(Duration::from_millis(2_500));
    let worker = rig
        .worker()
        .state(stage.clone())
        .lease(Duration::from_secs(1));
    let running = Running::start(worker.handle_batch(batch, square));
    let began = Instant::now();
    let sent = rig.queue.enqueue_many((1..=3).map(Number)).await.unwrap();
    for (one, n) in sent.iter().zip(1..) {
        assert_eq!(one.result().await.unwrap(), n * n);
    }
    assert!(began.elapsed() >= Duration::from_millis(2_400));
    assert_eq!(stage.batches(), [[1, 2, 3]]);
    let told = running.stop().await;
    // Neither given back nor, with a lease of a second, lost.
    assert_eq!(told.len(), 6, "{told:?}");
}

#[tokio::test]
async fn g4_a_batch_that_has_not_begun_is_released_to_its_exact_place_when_the_worker_stops() {
    let (rig, stage) = (Rig::new().await, Stage::new(0));
    let sent = rig.queue.enqueue_many((1..=5).map(Number)).await.unwrap();
    let worker = rig.worker().concurrency(5).state(stage.clone());
    let batch = Batch::up_to(3).within(LONG);
    let running = Running::start(worker.handle_batch(batch, square));
    running.until_started(5).await;
    eventually(PATIENCE, || stage.batches().len() == 1).await;
    stage.permits.add_permits(1);
    let began = Instant::now();
    let told = running.stop().await;
    assert!(began.elapsed() < LONG / 2);
    let count = |wanted: fn(&Outcome) -> bool| {
        let outcomes = told.iter().filter_map(|event| event.outcome());
        outcomes.filter(|outcome| wanted(outcome)).count()
    };
    assert_eq!(count(Outcome::is_completed), 3);
    assert_eq!(count(|outcome| *outcome == Outcome::Released), 2);
    let left = ids(&rig.queue, JobState::Waiting).await;
    let [batch] = &stage.batches()[..] else {
        panic!("only one began");
    };
    let waits = sent.iter().zip(1..).filter(|(_, n)| !batch.contains(n));
    assert_eq!(
        left,
        waits.map(|(one, _)| one.id().clone()).collect::<Vec<_>>()
    );
}

/// The handler listens to none of its tokens, and is stopped with the last of its jobs.
#[tokio::test]
async fn a_batch_that_does_not_end_is_released_after_the_grace_period() {
    let (rig, stage) = (Rig::new().await, Stage::new(0));
    let sent = rig.queue.enqueue_many((1..=3).map(Number)).await.unwrap();
    let worker = rig.worker().grace(Duration::from_millis(50));
    let batch = Batch::up_to(3).within(LONG);
    let running = Running::start(worker.state(stage.clone()).handle_batch(batch, square));
    eventually(PATIENCE, || stage.batches().len() == 1).await;
    running.stop().await;
    let left = ids(&rig.queue, JobState::Waiting).await;
    assert_eq!(
        left,
        sent.iter().map(|one| one.id().clone()).collect::<Vec<_>>()
    );
    let info = sent[0].info().await.unwrap().unwrap();
    assert_eq!((info.failed, info.stalls), (0, 0));
    // The state is gone, and the handler with it.
    eventually(PATIENCE, || Arc::strong_count(&stage.permits) == 1).await;
}

#[derive(Debug, Serialize, Deserialize)]
struct Other;

impl Job for Other {
    const NAME: &'static str = "other";
    type Output = u32;
}

#[tokio::test]
async fn other_handlers_are_not_held_up_by_a_batch() {
    let (rig, stage) = (Rig::new().await, Stage::new(0));
    let batch = Batch::up_to(4).within(LONG);
    let worker = rig.worker().concurrency(8).state(stage.clone());
    let worker = worker.handle_batch(batch, square);
    let running = Running::start(worker.handle(async |_: Other| Ok::<_, Failure>(7)));
    // One batch runs, and two jobs wait for the next.
    rig.queue.enqueue_many((1..=6).map(Number)).await.unwrap();
    running.until_started(6).await;
    for _ in 0..20 {
        let other = rig.queue.enqueue(Other).result().within(PATIENCE);
        assert_eq!(other.await.unwrap(), 7);
    }
    let sizes = stage.batches().into_iter().map(|batch| batch.len());
    assert_eq!(sizes.collect::<Vec<_>>(), [4]);
    stage.permits.add_permits(2);
    running.stop().await;
}

/// Another worker has the job: the attempt ends, and the others of its batch go on.
#[tokio::test]
async fn g2_a_job_that_was_taken_away_is_skipped_and_the_others_complete() {
    async fn until_cancelled(numbers: Vec<Batched<Number>>) -> Result<(), Failure> {
        let lost = numbers[0].context().cancellation().clone();
        lost.cancelled().await;
        let skipped = numbers.iter().filter(|one| one.context().is_cancelled());
        assert_eq!(skipped.count(), 1);
        for number in numbers {
            let n = number.job.0;
            number.complete(n);
        }
        Ok(())
    }
    let rig = Rig::new().await;
    let sent = rig.queue.enqueue_many((1..=3).map(Number)).await.unwrap();
    let batch = Batch::up_to(3).within(LONG);
    let worker = rig.worker().lease(Duration::from_secs(2));
    let running = Running::start(worker.handle_batch(batch, until_cancelled));
    running.until_started(3).await;
    // As if another worker had claimed it.
    let claims = "oxcart:{test}:claims";
    let _: i64 = rig.server.ask(&["HDEL", claims, sent[0].id().as_str()]);
    for (one, n) in sent.iter().zip(1..).skip(1) {
        assert_eq!(one.result().within(PATIENCE).await.unwrap(), n);
    }
    let told = running.stop().await;
    let lost = told
        .iter()
        .filter(|event| event.outcome() == Some(&Outcome::LeaseLost));
    assert_eq!(lost.count(), 1, "{told:?}");
}

/// A line that a tenant writes.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    tenant: Option<u32>,
}

impl Job for Line {
    const NAME: &'static str = "line";
    type Output = usize;

    fn group(&self) -> Option<String> {
        self.tenant.map(|tenant| format!("tenant-{tenant}"))
    }
}

/// The groups of the jobs of each batch, as the context tells them.
type Groups = Arc<Mutex<Vec<Vec<Option<String>>>>>;

async fn write(lines: Vec<Batched<Line>>, groups: State<Groups>) -> Result<(), Failure> {
    let size = lines.len();
    let told = lines
        .iter()
        .map(|line| line.context().group().map(str::to_owned));
    groups.lock().unwrap().push(told.collect());
    for line in lines {
        assert_eq!(line.context().group(), line.job.group().as_deref());
        line.complete(size);
    }
    Ok(())
}

/// Tenants in turn, and each seventh job is of no tenant.
fn lines(jobs: u32) -> impl Iterator<Item = Line> {
    (0..jobs).map(|n| Line {
        tenant: (n % 7 > 0).then_some(n % 3),
    })
}

#[tokio::test]
async fn batches_by_group_never_mix_the_jobs_of_two_groups() {
    let (rig, groups) = (Rig::new().await, Groups::default());
    let batch = Batch::up_to(10)
        .within(Duration::from_millis(20))
        .by_group();
    let worker = rig.worker().concurrency(60).state(Arc::clone(&groups));
    let sent = rig.queue.enqueue_many(lines(700)).await.unwrap();
    let running = Running::start(worker.handle_batch(batch, write));
    let mut together = 0;
    for (one, line) in sent.iter().zip(lines(700)) {
        let size = one.result().await.unwrap();
        assert!(size == 1 || line.tenant.is_some() && size <= 10, "{size}");
        together += usize::from(size > 1);
    }
    running.stop().await;
    let batches = groups.lock().unwrap().clone();
    assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 700);
    for batch in batches {
        assert!(batch.iter().all(|group| *group == batch[0]), "{batch:?}");
    }
    // 600 jobs have a group; most of them have others beside them in the 60 slots.
    assert!(together > 300, "{together}");
    let counts = rig.counts().await;
    assert_eq!((counts.totals.completed, counts.totals.stalled), (700, 0));
}

#[tokio::test]
async fn a_group_with_a_concurrency_of_two_gives_batches_of_two_at_most() {
    let (rig, groups) = (Rig::new().await, Groups::default());
    let batch = Batch::up_to(10)
        .within(Duration::from_millis(20))
        .by_group();
    let worker = rig.worker().concurrency(20).state(Arc::clone(&groups));
    let two = rig.queue.group("tenant-1").unwrap();
    two.set_concurrency(Some(2)).await.unwrap();
    let jobs = (0..40).map(|n| Line {
        tenant: Some(n % 2),
    });
    let sent = rig.queue.enqueue_many(jobs).await.unwrap();
    let running = Running::start(worker.handle_batch(batch, write));
    let mut largest = [0; 2];
    for (n, one) in sent.iter().enumerate() {
        let size = one.result().await.unwrap();
        largest[n % 2] = largest[n % 2].max(size);
    }
    running.stop().await;
    assert_eq!(largest[1], 2);
    assert!(largest[0] > 2, "{largest:?}");
}
