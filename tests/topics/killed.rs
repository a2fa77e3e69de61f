//! Workers, which feed their queues, are killed at any moment, and Redis is killed and starts again: each subscription runs each event once as far as the fence tells,
//! and the events of one subject in order, although a job is forgotten as soon as it has run. The ledger is a file to which each attempt writes when it begins.
//!
//! `TOPICS=full cargo test --release --test topics killed` has the large numbers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use oxcart::{
    Context, EventOrder, Failure, JobId, Oxcart, QueueSettings, Retention, Start, State, Topic,
    Worker,
};

use super::{Placed, oxcart_at};
use crate::support::{Ledger, Process, Server, child_of_test, eventually_async, spawn_self};

const QUEUES: [&str; 4] = ["a", "b", "c", "late"];
const SUBJECTS: u64 = 50;
const PROCESSES: usize = 2;

fn events() -> u64 {
    match std::env::var("TOPICS").as_deref() {
        Ok("full") => 200_000,
        _ => 3_000,
    }
}

/// Before the next worker is killed. In the long form workers also come to do something, because Redis takes a while to start with so many events.
fn pause(kills: u64) -> Duration {
    let pause = Duration::from_millis(300 + 170 * (kills % 5));
    if events() > 100_000 { 4 * pause } else { pause }
}

fn worker(oxcart: &Oxcart, queue: &str, ledger: &Arc<Ledger>) -> Worker {
    let queue = oxcart.queue(queue).unwrap();
    let name = queue.name().to_owned();
    Worker::builder(&queue)
        .concurrency(16)
        .lease(Duration::from_secs(1))
        .state((name, Arc::clone(ledger)))
        .handle(
            async |event: Placed, context: Context, state: State<(String, Arc<Ledger>)>| {
                let attempt = context.attempt();
                let (queue, ledger) = &*state;
                ledger.record(&format!(
                    "{queue} {} {} {}",
                    event.order,
                    attempt.earlier + 1,
                    attempt.fence
                ));
                Ok::<_, Failure>(())
            },
        )
        .build()
        .unwrap()
}

/// Works on all queues until it is killed.
#[test]
fn workers_process() {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let variable = |name| std::env::var(name).unwrap();
        let ledger = Arc::new(Ledger::open(variable("LEDGER")));
        let oxcart = loop {
            match Oxcart::connect(&variable("SERVER")).await {
                Ok(oxcart) => break oxcart,
                // Redis starts again.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let workers = QUEUES.map(|queue| {
            let worker = worker(&oxcart, queue, &ledger);
            tokio::spawn(worker.run_until(std::future::pending::<()>()))
        });
        for worker in workers {
            worker.await.unwrap().unwrap();
        }
    });
}

/// Publishes until all is there, whatever the answers were.
async fn publish(orders: Topic) {
    let pages: Vec<u64> = (0..events()).collect();
    for page in pages.chunks(100) {
        loop {
            let many = page.iter().map(|order| {
                orders
                    .publish(Placed { order: *order })
                    .id(JobId::new(format!("event-{order}")).unwrap())
                    .subject(format!("s{}", order % SUBJECTS))
            });
            match orders.publish_many(many).await {
                Ok(_) => break,
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
            }
        }
        // About as fast as the workers take them.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_each_subscription_runs_each_event_once_whatever_is_killed() {
    let server = Server::options().aof_always().start();
    let oxcart = oxcart_at(&server).await;
    let orders = oxcart.topic("orders").unwrap();
    let subscribe = async |name: &str| {
        let queue = oxcart.queue(name).unwrap();
        let settings = QueueSettings::new()
            .keep_completed(Retention::Nothing)
            .max_stalls(100_000);
        queue.change_settings(settings).await.unwrap();
        orders
            .subscribe(name, &queue)
            .starting(Start::Kept)
            .ordered_by(EventOrder::OfSubject)
            .await
            .unwrap();
    };
    for name in &QUEUES[..3] {
        subscribe(name).await;
    }
    let ledger = Ledger::create();
    let path = ledger.path().to_str().unwrap().to_owned();
    let url = server.url();
    let spawn = || {
        let envs = [("SERVER", &*url), ("LEDGER", &*path)];
        spawn_self("killed::workers_process", &envs)
    };
    let mut workers: Vec<Process> = (0..PROCESSES).map(|_| spawn()).collect();
    let publishing = tokio::spawn(publish(orders.clone()));
    let (mut kills, mut restarts, mut has_joined) = (0_u64, 0, false);
    let began = Instant::now();
    let limit = Duration::from_secs(60) + Duration::from_millis(events() * 10);
    let mut added = BTreeMap::new();
    while !publishing.is_finished()
        || added.values().any(|added| *added < events())
        || added.len() < 4
    {
        assert!(began.elapsed() < limit, "{added:?} after {kills} kills");
        let at = usize::try_from(kills).unwrap() % PROCESSES;
        tokio::time::sleep(pause(kills)).await;
        workers[at].kill();
        workers[at] = spawn();
        kills += 1;
        if kills % 8 == 3 {
            tokio::task::block_in_place(|| {
                server.kill();
                server.restart();
            });
            restarts += 1;
        }
        if kills == 4 {
            subscribe("late").await;
            has_joined = true;
        }
        for name in QUEUES {
            let counts = oxcart.queue(name).unwrap().counts().await;
            added.extend(counts.ok().map(|counts| (name, counts.totals.added)));
        }
        if !has_joined {
            added.remove("late");
        }
    }
    publishing.await.unwrap();
    for name in QUEUES {
        let queue = oxcart.queue(name).unwrap();
        eventually_async(Duration::from_secs(60), async || {
            queue.counts().await.is_ok_and(|counts| counts.left() == 0)
        })
        .await;
        let counts = queue.counts().await.unwrap();
        let totals = (counts.totals.added, counts.totals.completed, counts.dead);
        assert_eq!(totals, (events(), events(), 0), "{name}");
    }
    let info = orders.info().await.unwrap();
    assert_eq!((info.kept, info.published), (events(), events()));
    assert!(
        info.subscriptions.iter().all(|it| it.missed == 0),
        "{info:?}"
    );
    let repeats = check(&ledger.lines());
    println!(
        "{} events, {kills} kills, {restarts} restarts of Redis, {repeats} repeated attempts",
        events()
    );
    assert!(kills >= 5 && restarts >= 1);
}

/// Each event of each queue began once for the first time, and behind those before it of its subject. How many attempts were not the first.
fn check(lines: &[String]) -> usize {
    let mut first: HashMap<(&str, u64), u64> = HashMap::new();
    let mut last: HashMap<(&str, u64), (u64, u64)> = HashMap::new();
    let mut repeats = 0;
    for line in lines {
        let mut words = line.split(' ');
        let queue = words.next().unwrap();
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        let (order, attempt, fence) = (number(), number(), number());
        if attempt == 1 {
            *first.entry((queue, order)).or_default() += 1;
        } else {
            repeats += 1;
            first.entry((queue, order)).or_default();
        }
        let before = last.insert((queue, order % SUBJECTS), (order, fence));
        if let Some((order_before, fence_before)) = before {
            assert!(order >= order_before, "{line} came behind {order_before}");
            assert!(
                order > order_before || fence > fence_before,
                "{line} came again with the fence {fence_before}"
            );
        }
    }
    let twice = first.iter().find(|(_, times)| **times > 1);
    assert_eq!(twice, None, "an event began twice for the first time");
    assert_eq!(first.len() as u64, 4 * events(), "some events never began");
    repeats
}
