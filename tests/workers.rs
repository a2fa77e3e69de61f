//! Several workers in one process run together, and all of them end well.

mod support;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use oxcart::{ErrorKind, Failure, Job, Oxcart, Queue, State, Worker, Workers};
use serde::{Deserialize, Serialize};
use support::jobs::{Scene, Work};
use support::workers::{drained, queue_at, worker};
use support::{Server, eventually};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
struct Note;

impl Job for Note {
    const NAME: &'static str = "note";
    type Output = ();
}

async fn server_and_queues<const N: usize>() -> (Server, [Queue; N]) {
    let server = Server::start();
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let queues = std::array::from_fn(|n| oxcart.queue(&format!("queue-{n}")).unwrap());
    (server, queues)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_one_shutdown_stops_all_workers_and_every_outcome_is_stored() {
    const EACH: usize = 5;
    let (_server, queues) = server_and_queues::<3>().await;
    let scene = Scene::new();
    let workers: Workers = queues
        .iter()
        .map(|queue| worker(queue, &scene).build().unwrap())
        .collect();
    // Two workers of one queue, for different jobs.
    let notes = Worker::builder(&queues[0]).handle(async |_: Note| Ok::<_, Failure>(()));
    let workers = workers.add(notes.build().unwrap());
    let stop = CancellationToken::new();
    let running = tokio::spawn(workers.run_until(stop.clone().cancelled_owned()));
    queues[0].enqueue(Note).result().await.unwrap();
    for queue in &queues {
        let jobs = vec![Work::sleep(SECOND); EACH];
        queue.enqueue_many(jobs).await.unwrap();
    }
    eventually(10 * SECOND, || scene.running().len() == 3 * EACH).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    for (queue, completed) in queues.iter().zip([EACH + 1, EACH, EACH]) {
        let counts = queue.counts().await.unwrap();
        assert_eq!((counts.completed, counts.active), (completed as u64, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_each_worker_has_its_own_grace_period_and_all_have_theirs_at_once() {
    let (_server, queues) = server_and_queues::<3>().await;
    let scene = Scene::new();
    let graces = [Duration::ZERO, SECOND, 2 * SECOND];
    let workers = queues.iter().zip(graces);
    let workers = workers.map(|(queue, grace)| worker(queue, &scene).grace(grace).build().unwrap());
    let workers = Workers::new(workers);
    let stop = CancellationToken::new();
    let running = tokio::spawn(workers.run_until(stop.clone().cancelled_owned()));
    for queue in &queues {
        queue.enqueue(Work::Hold).await.unwrap();
    }
    eventually(10 * SECOND, || scene.running().len() == 3).await;
    stop.cancel();
    let began = Instant::now();
    running.await.unwrap().unwrap();
    let took = began.elapsed();
    assert!(took >= 2 * SECOND && took < 3 * SECOND, "{took:?}");
    for queue in &queues {
        let counts = queue.counts().await.unwrap();
        assert_eq!((counts.waiting, counts.active), (1, 0));
    }
    let mut cancelled = scene.runs();
    cancelled.sort_by_key(|run| run.ended_ms);
    let ended: Vec<_> = cancelled.iter().filter_map(|run| run.ended_ms).collect();
    assert!(
        ended[1] - ended[0] > 500 && ended[2] - ended[1] > 500,
        "{ended:?}"
    );
}

#[tokio::test]
async fn no_workers_cannot_run() {
    let error = Workers::new([]).run_until(std::future::pending()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
}

/// A state that says where it is dropped.
struct Witness(Sender<(Option<String>, bool)>);

impl Drop for Witness {
    fn drop(&mut self) {
        let name = thread::current().name().map(str::to_owned);
        let has_runtime = Handle::try_current().is_ok();
        let _ = self.0.send((name, has_runtime));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_the_applications_is_not_dropped_on_the_librarys_thread() {
    let server = Server::start();
    let queue = queue_at(&server.url()).await;
    let (tell, told) = channel();
    for round in 0..10 {
        let begun = Arc::new(Semaphore::new(0));
        let holds = async |_: Note, _: State<Witness>, begun: State<Arc<Semaphore>>| {
            begun.add_permits(1);
            std::future::pending::<()>().await;
            Ok::<_, Failure>(())
        };
        // A hook and a backoff have one as well.
        let (of_hook, of_backoff) = (Witness(tell.clone()), Witness(tell.clone()));
        let built = Worker::builder(&queue)
            .state(Witness(tell.clone()))
            .state(Arc::clone(&begun))
            .on_event(move |_| _ = &of_hook)
            .backoff("own", move |_, _| {
                let _ = &of_backoff;
                SECOND
            })
            .handle(holds)
            .lease(SECOND);
        let running = tokio::spawn(built.build().unwrap().run_until(std::future::pending()));
        queue.enqueue(Note).await.unwrap();
        begun.acquire().await.unwrap().forget();
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        for _ in 0..3 {
            let told = tokio::task::block_in_place(|| told.recv_timeout(10 * SECOND));
            let (thread, has_runtime) = told.expect("it is dropped soon");
            assert_ne!(thread.as_deref(), Some("oxcart"), "round {round}");
            assert!(has_runtime, "round {round}: {thread:?}");
        }
        server.cli(&["FLUSHALL"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_are_given_up_stop_all_their_handlers() {
    let (_server, queues) = server_and_queues::<2>().await;
    let scene = Scene::new();
    let workers = queues
        .iter()
        .map(|queue| worker(queue, &scene).lease(SECOND).build().unwrap());
    let running = tokio::spawn(Workers::new(workers).run_until(std::future::pending()));
    for queue in &queues {
        queue.enqueue(Work::Perish { later_ms: 0 }).await.unwrap();
    }
    eventually(10 * SECOND, || scene.running().len() == 2).await;
    running.abort();
    eventually(5 * SECOND, || scene.running().is_empty()).await;
    let others = queues
        .iter()
        .map(|queue| worker(queue, &scene).build().unwrap());
    let stop = CancellationToken::new();
    let running = Workers::new(others).run_until(stop.clone().cancelled_owned());
    let running = tokio::spawn(running);
    for queue in &queues {
        let counts = drained(queue, 20 * SECOND).await;
        assert_eq!((counts.completed, counts.totals.stalled), (1, 1));
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}
