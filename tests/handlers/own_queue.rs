//! Handlers that wait for jobs of their own queue: they hold their slots meanwhile.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxcart::{
    Backoff, Context, ErrorKind, Failure, Job, JobState, Outcome, Oxcart, Queue, State, Worker,
    WorkerBuilder,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Child;

impl Job for Child {
    const NAME: &'static str = "child";
    type Output = u32;
}

#[derive(Serialize, Deserialize)]
struct Slow;

impl Job for Slow {
    const NAME: &'static str = "slow";
    type Output = u32;
}

#[derive(Serialize, Deserialize)]
struct Parent;

impl Job for Parent {
    const NAME: &'static str = "parent";
    type Output = u32;
}

type Kinds = Arc<Mutex<Vec<ErrorKind>>>;

/// The trap: it enqueues a child, and waits for it.
async fn parent(_: Parent, context: Context, kinds: State<Kinds>) -> Result<u32, Failure> {
    let id = format!("{}-child", context.id());
    let child = context.queue().enqueue(Child).id(oxcart::JobId::new(id)?);
    match child.result().within(Duration::from_secs(30)).await {
        Ok(output) => Ok(output),
        Err(error) => {
            kinds.lock().unwrap().push(error.kind());
            Err(error.into())
        }
    }
}

fn worker(queue: &Queue, kinds: &Kinds) -> WorkerBuilder {
    Worker::builder(queue)
        .state(Arc::clone(kinds))
        .handle(parent)
        .handle(async |_: Child| Ok::<_, Failure>(7))
}

async fn enqueue(queue: &Queue, parents: usize) {
    let backoff = Backoff::fixed(Duration::from_millis(50));
    let request = || queue.enqueue(Parent).attempts(50).backoff(backoff.clone());
    queue
        .enqueue_many((0..parents).map(|_| request()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_drained_handler_that_waits_for_its_own_queue_fails_at_once() {
    let queue = Oxcart::in_memory().queue("work").unwrap();
    let kinds = Kinds::default();
    queue.enqueue(Parent).attempts(1).await.unwrap();
    let ran = worker(&queue, &kinds).build().unwrap().drain().await;
    assert!(
        matches!(&ran[0].outcome, Outcome::Dead { entry, .. } if entry.error.contains("would wait for ever")),
        "{ran:?}"
    );
    assert_eq!(*kinds.lock().unwrap(), [ErrorKind::Deadlock]);
}

/// Four parents at a concurrency of four: one of them learns of it, and its slot runs children.
#[tokio::test]
async fn parents_that_fill_all_slots_are_told_instead_of_waiting_for_ever() {
    let queue = Oxcart::in_memory().queue("work").unwrap();
    let kinds = Kinds::default();
    enqueue(&queue, 4).await;
    let worker = worker(&queue, &kinds).concurrency(4).build().unwrap();
    let running = tokio::spawn(worker.run_until(std::future::pending::<()>()));
    let all_done = async {
        while queue.counts().await.unwrap().left() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let limit = Duration::from_secs(25);
    tokio::time::timeout(limit, all_done)
        .await
        .expect("they wait for ever");
    running.abort();
    let kinds = kinds.lock().unwrap().clone();
    assert!(
        !kinds.is_empty() && kinds.iter().all(|kind| *kind == ErrorKind::Deadlock),
        "{kinds:?}"
    );
    assert_eq!(queue.jobs(JobState::Dead).await.unwrap().jobs.len(), 0);
}

#[tokio::test]
async fn nobody_is_told_so_while_a_slot_is_free_or_another_worker_is_there() {
    let queue = Oxcart::in_memory().queue("work").unwrap();
    let kinds = Kinds::default();
    let running = [3, 3].map(|slots| {
        let worker = worker(&queue, &kinds).concurrency(slots).build().unwrap();
        tokio::spawn(worker.run_until(std::future::pending::<()>()))
    });
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    enqueue(&queue, 5).await;
    let all_done = async {
        while queue.counts().await.unwrap().left() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let limit = Duration::from_secs(25);
    tokio::time::timeout(limit, all_done)
        .await
        .expect("a slot is free");
    for one in running {
        one.abort();
    }
    assert_eq!(*kinds.lock().unwrap(), []);
}

/// One handler holds one slot, for however many jobs it waits.
#[tokio::test]
async fn a_handler_that_waits_for_several_jobs_counts_once() {
    let queue = Oxcart::in_memory().queue("work").unwrap();
    let both = async |_: Parent, context: Context| {
        let child = || context.queue().enqueue(Slow).result();
        let (one, two) = futures::join!(child().into_future(), child().into_future());
        Ok::<_, Failure>(one? + two?)
    };
    let worker = Worker::builder(&queue)
        .concurrency(2)
        .handle(both)
        .handle(async |_: Slow| {
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            Ok::<_, Failure>(7)
        });
    let worker = worker.build().unwrap();
    let running = tokio::spawn(worker.run_until(std::future::pending::<()>()));
    let parent = queue.enqueue(Parent).attempts(1).await.unwrap();
    assert_eq!(parent.result().await.unwrap(), 14);
    running.abort();
}
