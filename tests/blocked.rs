//! An application that blocks the threads of its runtime, or does not drive it, holds up nothing
//! but what it blocks: no other job's start or outcome, no lease, no other caller's enqueue.

mod support;

use std::future::IntoFuture;
use std::thread::sleep;
use std::time::{Duration, Instant};

use futures::StreamExt;
use oxcart::{EventKind, Oxcart, Queue};
use support::jobs::{Scene, Work};
use support::workers::{QUEUE, RunningWorker, queue_at, run, worker};
use support::{Server, eventually};
use tokio::runtime::{Builder, Runtime};

const SECOND: Duration = Duration::from_secs(1);
/// How long handlers block that a test does not wait for.
const BLOCKED: Duration = Duration::from_secs(20);
/// Much less than that, and enough for a machine that has much else to do.
const SOON: Duration = Duration::from_secs(8);
/// Hundreds of jobs, one after the other, on a machine that has much else to do.
const ALL_IN: Duration = Duration::from_secs(60);

fn block(time: Duration) -> Work {
    Work::Block {
        ms: time.as_millis() as u64,
    }
}

fn threads(threads: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .unwrap()
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A worker on a runtime of its own, as another application has it.
struct Application {
    runtime: Runtime,
    worker: RunningWorker,
    scene: Scene,
}

impl Application {
    fn start(server: &Server, threads_of_it: usize, concurrency: usize) -> Self {
        let (runtime, scene) = (threads(threads_of_it), Scene::new());
        let worker = runtime.block_on(async {
            let queue = queue_at(&server.url()).await;
            run(worker(&queue, &scene).concurrency(concurrency))
        });
        Self {
            runtime,
            worker,
            scene,
        }
    }

    /// Leaves the blocked threads to themselves.
    fn abandon(self) {
        drop(self.worker);
        self.runtime.shutdown_background();
    }
}

/// Until as many jobs are completed.
async fn completed(queue: &Queue, jobs: u64) {
    support::eventually_async(ALL_IN, async || {
        queue.counts().await.unwrap().totals.completed >= jobs
    })
    .await;
}

#[test]
fn g5_a_handler_that_blocks_its_thread_holds_up_no_other_job() {
    const QUICK: usize = 40;
    for (threads, concurrency, blockers) in [
        (2, 2, 1),
        (2, 10, 1),
        (2, 500, 1),
        (4, 10, 1),
        (4, 10, 3),
        (4, 100, 2),
        (4, 500, 3),
    ] {
        let server = Server::start();
        let application = Application::start(&server, threads, concurrency);
        one_thread().block_on(async {
            let queue = queue_at(&server.url()).await;
            for _ in 0..blockers {
                queue.enqueue(block(BLOCKED)).await.unwrap();
            }
            let running = || application.scene.running().len();
            eventually(SOON, || running() == blockers).await;
            let asked = Instant::now();
            queue.enqueue(Work::Quick).await.unwrap();
            completed(&queue, 1).await;
            let first = asked.elapsed();
            queue
                .enqueue_many(vec![Work::Quick; QUICK - 1])
                .await
                .unwrap();
            completed(&queue, QUICK as u64).await;
            assert_eq!(running(), blockers, "the handlers block all the time");
            println!("{threads} threads, {concurrency} slots, {blockers} blocked: {first:?}");
        });
        application.abandon();
    }
}

#[test]
fn g5_what_a_blocked_worker_cannot_begin_goes_to_another_one() {
    const QUICK: usize = 9;
    let server = Server::start();
    let blocked = Application::start(&server, 1, 1 + QUICK);
    let runtime = threads(1);
    let queue = runtime.block_on(queue_at(&server.url()));
    runtime.block_on(async {
        queue.enqueue(block(BLOCKED)).await.unwrap();
        eventually(SOON, || blocked.scene.running().len() == 1).await;
        queue.enqueue_many(vec![Work::Quick; QUICK]).await.unwrap();
        // It claims them, and has no thread to begin them.
        support::eventually_async(SOON, async || {
            queue.counts().await.unwrap().active as usize > 1
        })
        .await;
    });
    let other = Application::start(&server, 1, 1);
    runtime.block_on(completed(&queue, QUICK as u64));
    assert_eq!(blocked.scene.runs().len(), 1, "the one that blocks");
    assert_eq!(other.scene.runs().len(), QUICK);
    let totals = runtime.block_on(queue.counts()).unwrap().totals;
    assert_eq!((totals.stalled, totals.refused, totals.retried), (0, 0, 0));
    // It claimed what it could not begin once, and not again and again.
    runtime.block_on(async {
        let mut events = queue.events_after("1-0".parse().unwrap());
        let (mut active, mut ended) = (0, 0);
        while ended < QUICK {
            match events.next().await.unwrap().kind {
                EventKind::Active { .. } => active += 1,
                EventKind::Completed { .. } => ended += 1,
                _ => {}
            }
        }
        assert!(active <= 1 + 2 * QUICK, "{active} claims");
    });
    blocked.abandon();
    other.abandon();
}

#[test]
fn g5_a_worker_whose_threads_were_all_blocked_goes_on_afterwards() {
    for (threads, concurrency) in [(1, 1), (1, 10), (2, 100)] {
        let server = Server::start();
        let application = Application::start(&server, threads, concurrency);
        one_thread().block_on(async {
            let queue = queue_at(&server.url()).await;
            queue
                .enqueue_many(vec![block(3 * SECOND); threads])
                .await
                .unwrap();
            let all_blocked = || application.scene.running().len() == threads.min(concurrency);
            eventually(SOON, all_blocked).await;
            queue.enqueue_many(vec![Work::Quick; 300]).await.unwrap();
            completed(&queue, (300 + threads) as u64).await;
            let totals = queue.counts().await.unwrap().totals;
            assert_eq!((totals.stalled, totals.refused, totals.retried), (0, 0, 0));
        });
        let Application {
            runtime, worker, ..
        } = application;
        runtime.block_on(worker.stop());
    }
}

#[test]
fn g3_a_caller_that_computes_holds_up_no_other_caller() {
    let server = Server::start();
    for size in [1, 2, 4] {
        let first = threads(size);
        let queue = first.block_on(queue_at(&server.url()));
        // Callers of this runtime block all of its threads, each right after its enqueue.
        let (tell, told) = std::sync::mpsc::channel();
        for _ in 0..size {
            let (queue, tell) = (queue.clone(), tell.clone());
            first.spawn(async move {
                queue.enqueue(Work::Quick).await.unwrap();
                tell.send(()).unwrap();
                sleep(BLOCKED);
            });
        }
        (0..size).for_each(|_| told.recv().unwrap());
        let asked = Instant::now();
        one_thread().block_on(async {
            let all = (0..100).map(|_| queue.enqueue(Work::Quick).into_future());
            for sent in futures::future::join_all(all).await {
                sent.unwrap();
            }
            queue.counts().await.unwrap();
        });
        let took = asked.elapsed();
        assert!(took < 3 * SECOND, "{size} threads: {took:?}");
        first.shutdown_background();
    }
}

#[test]
fn g3_a_handle_serves_a_second_runtime_while_the_first_is_not_driven() {
    let server = Server::start();
    let first = one_thread();
    let queue = first.block_on(async {
        let oxcart = Oxcart::connect(&server.url()).await.unwrap();
        let queue = oxcart.queue(QUEUE).unwrap();
        queue.enqueue(Work::Quick).await.unwrap();
        queue.counts().await.unwrap();
        queue
    });
    // It is alive, and nobody drives it.
    let second = one_thread();
    second.block_on(async {
        let asked = Instant::now();
        queue.enqueue(Work::Quick).await.unwrap();
        assert_eq!(queue.counts().await.unwrap().waiting, 2);
        let mut events = queue.events().await.unwrap();
        let scene = Scene::new();
        let running = run(worker(&queue, &scene));
        queue.enqueue(Work::Quick).result().await.unwrap();
        completed(&queue, 3).await;
        assert!(events.next().await.is_some());
        running.stop().await;
        let took = asked.elapsed();
        assert!(took < SOON, "{took:?}");
    });
    drop(second);
    // And the first one again.
    first.block_on(async {
        queue.enqueue(Work::Quick).await.unwrap();
        assert_eq!(queue.counts().await.unwrap().waiting, 1);
    });
}

#[test]
fn g1_a_handler_that_blocks_past_the_grace_costs_no_other_its_outcome() {
    for (threads_of_it, quick) in [(2, 9), (2, 100), (4, 400)] {
        let server = Server::start();
        let scene = Scene::new();
        let runtime = threads(threads_of_it);
        let stopped = runtime.block_on(async {
            let queue = queue_at(&server.url()).await;
            let builder = worker(&queue, &scene).concurrency(1 + quick);
            let running = run(builder.grace(SECOND));
            queue.enqueue(block(5 * SECOND)).await.unwrap();
            eventually(SOON, || scene.running().len() == 1).await;
            queue
                .enqueue_many(vec![Work::sleep(SECOND / 2); quick])
                .await
                .unwrap();
            eventually(SOON, || scene.running().len() == 1 + quick).await;
            running.try_stop().await
        });
        // The one that blocks is all that is left behind, if it was.
        if let Err(error) = stopped {
            assert!(error.to_string().contains("1 whose handler"), "{error}");
        }
        let other = one_thread();
        other.block_on(async {
            let queue = queue_at(&server.url()).await;
            let counts = queue.counts().await.unwrap();
            assert!(counts.totals.completed >= quick as u64, "{counts:?}");
            assert!(counts.active <= 1 && counts.waiting <= 1, "{counts:?}");
            assert_eq!((counts.totals.stalled, counts.totals.retried), (0, 0));
        });
        runtime.shutdown_background();
    }
}
