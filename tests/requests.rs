//! Requests and replies: many callers over a few connections, each of which gets its own answer or a typed error.
//!
//! `REQUESTS=full cargo test --release --test requests -- --nocapture` has the large numbers, and prints how long replies take.

mod support;

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::time::{Duration, Instant};

use oxcart::{Error, ErrorKind, Failure, Job, JobId, Oxcart, Queue, Worker};
use serde::{Deserialize, Serialize};
use support::{Process, Server, child_of_test, spawn_self};
use tokio::task::JoinSet;

const SECOND: Duration = Duration::from_secs(1);
/// So often all callers ask while workers are killed.
const ROUNDS: u64 = 5;

#[derive(Serialize, Deserialize)]
struct Quote {
    item: u64,
}

/// Why there is no price.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum NoPrice {
    NotSold { item: u64 },
}

impl Job for Quote {
    const NAME: &'static str = "quote";
    // What the caller has to know is an answer, and not a failure of the job.
    type Output = Result<u64, NoPrice>;
}

fn price(item: u64) -> Result<u64, NoPrice> {
    match item % 10 {
        7 => Err(NoPrice::NotSold { item }),
        _ => Ok(item * 3),
    }
}

fn worker(queue: &Queue) -> Worker {
    Worker::builder(queue)
        .concurrency(200)
        .lease(SECOND)
        .handle(async |quote: Quote| Ok::<_, Failure>(price(quote.item)))
        .build()
        .unwrap()
}

async fn connect(url: &str) -> Queue {
    let oxcart = Oxcart::connect(url).await.unwrap();
    oxcart.queue("prices").unwrap()
}

#[test]
fn worker_process() {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let queue = connect(&std::env::var("SERVER").unwrap()).await;
        let running = worker(&queue).run_until(std::future::pending::<()>());
        running.await.unwrap();
    });
}

fn callers() -> u64 {
    match std::env::var("REQUESTS").as_deref() {
        Ok("full") => 10_000,
        _ => 2_000,
    }
}

/// All of them at once: what each got, and how long it took.
async fn ask(
    queue: &Queue,
    within: Duration,
) -> BTreeMap<u64, (Result<Result<u64, NoPrice>, Error>, Duration)> {
    let mut asking = JoinSet::new();
    for item in 0..callers() {
        let request = queue.enqueue(Quote { item }).result().deadline(within);
        asking.spawn(async move {
            let began = Instant::now();
            let answer = request.await;
            (item, (answer, began.elapsed()))
        });
    }
    let mut answers = BTreeMap::new();
    while let Some(answered) = asking.join_next().await {
        answers.extend([answered.unwrap()]);
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_a_few_connections_and_each_gets_its_own_answer() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let _worker = spawn_self("worker_process", &[("SERVER", &server.url())]);
    // The worker is there.
    assert_eq!(
        queue.enqueue(Quote { item: 1 }).result().await.unwrap(),
        Ok(3)
    );
    let before: u64 = server.info("connected_clients").parse().unwrap();
    let began = Instant::now();
    let watching = tokio::spawn({
        let url = server.socket_url();
        async move {
            let client = redis::Client::open(url).unwrap();
            let mut most = 0;
            while began.elapsed() < 2 * SECOND {
                let mut connection = client.get_connection().unwrap();
                let info: String = redis::cmd("INFO")
                    .arg("clients")
                    .query(&mut connection)
                    .unwrap();
                let line = info
                    .lines()
                    .find_map(|line| line.strip_prefix("connected_clients:"));
                most = most.max(line.unwrap().parse::<u64>().unwrap());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            most
        }
    });
    let answers = ask(&queue, 60 * SECOND).await;
    let took = began.elapsed();
    assert_eq!(answers.len() as u64, callers());
    for (item, (answer, _)) in &answers {
        assert_eq!(answer.as_ref().unwrap(), &price(*item));
    }
    let most = watching.await.unwrap();
    assert!(
        most <= before + 4,
        "{before} connections, and {most} at most meanwhile"
    );
    let mut times: Vec<Duration> = answers.values().map(|(_, time)| *time).collect();
    times.sort();
    println!(
        "{} callers at once in {took:.1?}: half of the answers after {:.1?}, 99 % after {:.1?}",
        callers(),
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
}

/// A steady pace that leaves the machine idle for the most part: how long a reply takes beyond its handler.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_come_soon() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let _worker = spawn_self("worker_process", &[("SERVER", &server.url())]);
    assert_eq!(
        queue.enqueue(Quote { item: 1 }).result().await.unwrap(),
        Ok(3)
    );
    let mut asking = JoinSet::new();
    for item in 0..callers() {
        let request = queue.enqueue(Quote { item }).result();
        asking.spawn(async move {
            let began = Instant::now();
            request.await.unwrap().ok();
            began.elapsed()
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut times = asking.join_all().await;
    times.sort();
    println!(
        "{} callers, one each 1 ms: half of the answers after {:.1?}, 99 % after {:.1?}",
        callers(),
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
    assert!(times[times.len() / 2] < SECOND, "{times:?}");
}

/// Workers die with requests in their hands: nobody waits for ever, and nobody gets the answer of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_caller_hangs_when_workers_are_killed() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let url = server.url();
    let spawn = || spawn_self("worker_process", &[("SERVER", &url)]);
    let mut workers: Vec<Process> = (0..2).map(|_| spawn()).collect();
    let asking = tokio::spawn({
        let queue = queue.clone();
        async move {
            let mut rounds = Vec::new();
            for _ in 0..ROUNDS {
                rounds.extend(ask(&queue, 30 * SECOND).await);
            }
            rounds
        }
    });
    let mut kills = 0;
    while !asking.is_finished() && kills < 20 {
        tokio::time::sleep(Duration::from_millis(110)).await;
        workers[kills % 2].kill();
        workers[kills % 2] = spawn();
        kills += 1;
    }
    let answers = asking.await.unwrap();
    assert!(kills >= 3, "{kills} kills");
    assert_eq!(answers.len() as u64, ROUNDS * callers());
    let mut unanswered = 0;
    for (item, (answer, took)) in &answers {
        match answer {
            Ok(answer) => assert_eq!(answer, &price(*item)),
            // Workers died again and again while they ran it.
            Err(error) => {
                let kinds = [ErrorKind::Dead, ErrorKind::Expired, ErrorKind::Timeout];
                assert!(kinds.contains(&error.kind()), "{error:?}");
                unanswered += 1;
            }
        }
        assert!(*took < 35 * SECOND);
    }
    println!(
        "{kills} kills, {unanswered} of {} callers got an error",
        ROUNDS * callers()
    );
    assert!(
        unanswered * 10 < ROUNDS * callers(),
        "{unanswered} callers got an error"
    );
}

/// Nobody takes the request in time: it never starts, and the caller is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_nobody_takes_in_time_never_starts() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let began = Instant::now();
    let late = queue
        .enqueue(Quote { item: 1 })
        .result()
        .deadline(SECOND / 2);
    let error = late.await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Expired),
        "{error:?}"
    );
    assert!(began.elapsed() < 3 * SECOND);
    tokio::time::sleep(SECOND / 2).await;
    let _worker = spawn_self("worker_process", &[("SERVER", &server.url())]);
    assert_eq!(
        queue.enqueue(Quote { item: 2 }).result().await.unwrap(),
        Ok(6)
    );
    let id = error.job_id().unwrap();
    let handle = queue.handle::<Quote>(id.clone());
    let error = handle.result().within(10 * SECOND).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Expired | ErrorKind::NotFound),
        "{error:?}"
    );
    assert_eq!(queue.counts().await.unwrap().totals.completed, 1);
}

/// A caller that starts again knows the id of its request, and waits for the same answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_starts_again_waits_by_the_id_of_its_request() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let id = JobId::new("request-17").unwrap();
    let request = || {
        let quote = queue.enqueue(Quote { item: 4 }).id(id.clone());
        quote.result().deadline(20 * SECOND)
    };
    let first = tokio::time::timeout(SECOND / 5, request().into_future());
    assert!(first.await.is_err(), "there is no worker yet");
    let _worker = spawn_self("worker_process", &[("SERVER", &server.url())]);
    let again = connect(&server.url()).await;
    let quote = again.enqueue(Quote { item: 4 }).id(id.clone());
    assert_eq!(quote.result().await.unwrap(), Ok(12));
    assert_eq!(request().await.unwrap(), Ok(12));
    assert_eq!(again.counts().await.unwrap().totals.added, 1);
}
