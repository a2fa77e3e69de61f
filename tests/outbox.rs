//! Relays in real processes that are killed at any moment: no message is lost, and none is taken twice, although its job is forgotten as soon as it has
//! run.

mod support;

use std::collections::HashMap;
use std::time::Duration;

use oxcart::{Oxcart, Queue, QueueSettings, Retention};
use redis::Connection;
use support::jobs::{Scene, Work};
use support::workers::{RunningWorker, run, worker};
use support::{Process, Proxy, Server, child_of_test, eventually, eventually_async, spawn_self};

const SECOND: Duration = Duration::from_secs(1);
/// Where the messages come from, and where they go.
const FROM: &str = "orders";
const TO: &str = "billing";
const URL: &str = "RELAY_URL";

/// Carries messages until it is killed.
#[test]
fn relay_process() {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = std::env::var(URL).unwrap();
        let oxcart = Oxcart::connect(&url).await.unwrap();
        let queue = oxcart.queue(FROM).unwrap();
        loop {
            if queue.relay().await.is_ok_and(|carried| carried > 0) {
                continue;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

fn text(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    [&length[..], text].concat()
}

/// A message as docs/redis-layout.md describes it: a job that succeeds at once.
fn message(id: &str) -> Vec<u8> {
    let no_options = [0x80];
    let record = [
        &b"\x82\xa4type\xa4work\xa7payload\xc4\x06"[..],
        b"\xa5Quick",
    ]
    .concat();
    let texts = [&no_options[..], id.as_bytes(), &record].map(text);
    [b"job ".to_vec(), texts.concat()].concat()
}

/// Puts messages into the outbox, as a script does that has something for another queue.
struct Outbox {
    connection: Connection,
    last: u64,
    sent: usize,
}

impl Outbox {
    fn new(server: &Server) -> Self {
        let client = redis::Client::open(server.socket_url()).unwrap();
        Self {
            connection: client.get_connection().unwrap(),
            last: 1_700_000_000_000_000,
            sent: 0,
        }
    }

    fn put(&mut self, messages: usize) {
        let mut calls = redis::pipe();
        calls.atomic();
        for _ in 0..messages {
            self.last += 1;
            self.sent += 1;
            let place = format!("{TO}\0{:016}\0", self.last);
            let member = [place.into_bytes(), message(&format!("m{:05}", self.sent))].concat();
            calls.cmd("ZADD").arg(format!("oxcart:{{{FROM}}}:outbox"));
            calls.arg(0).arg(member);
        }
        calls.cmd("HSET").arg(format!("oxcart:{{{FROM}}}:meta"));
        calls.arg("sent").arg(self.last);
        calls.exec(&mut self.connection).unwrap();
    }
}

async fn queues(server: &Server) -> [Queue; 2] {
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    [FROM, TO].map(|name| oxcart.queue(name).unwrap())
}

/// A worker of the queue that gets the messages, which forgets its jobs at once.
fn forgetful(queue: &Queue, scene: &Scene) -> RunningWorker {
    let settings = QueueSettings::new().keep_completed(Retention::Nothing);
    run(worker(queue, scene).queue_settings(settings))
}

async fn is_empty(queue: &Queue) -> bool {
    queue.outbox().await.is_ok_and(|left| left.is_empty())
}

/// Each message made one job, which ran once.
async fn assert_each_ran_once(sent: usize, to: &Queue, scene: &Scene) {
    eventually_async(20 * SECOND, async || {
        to.counts().await.is_ok_and(|counts| counts.left() == 0)
    })
    .await;
    eventually(20 * SECOND, || scene.runs().len() >= sent).await;
    let by_job: HashMap<_, _> = scene.runs_by_job();
    let more: Vec<_> = by_job.iter().filter(|(_, runs)| runs.len() != 1).collect();
    assert!(more.is_empty(), "ran more than once: {more:?}");
    assert_eq!(by_job.len(), sent);
    let counts = to.counts().await.unwrap();
    assert_eq!(counts.totals.added, sent as u64);
    assert_eq!(counts.completed, 0, "they are forgotten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g3_relays_that_are_killed_at_any_moment_lose_and_double_nothing() {
    const ROUNDS: usize = 100;
    let server = Server::start();
    let [from, to] = queues(&server).await;
    let scene = Scene::new();
    let worker = forgetful(&to, &scene);
    let mut outbox = Outbox::new(&server);
    // Each answer comes late: a kill falls between any two calls.
    let proxy = Proxy::start(server.tcp_addr());
    proxy.delay(Duration::from_millis(3));
    let spawn = || spawn_self("relay_process", &[(URL, &proxy.url())]);
    let mut relays: Vec<Process> = (0..2).map(|_| spawn()).collect();
    let mut random = fastrand::Rng::with_seed(17);
    let mut killed_at_work = 0;
    for _ in 0..ROUNDS {
        outbox.put(random.usize(1..300));
        tokio::time::sleep(Duration::from_micros(random.u64(0..60_000))).await;
        let which = random.usize(..relays.len());
        relays[which].kill();
        killed_at_work += usize::from(!is_empty(&from).await);
        relays[which] = spawn();
    }
    eventually_async(30 * SECOND, async || is_empty(&from).await).await;
    println!("{killed_at_work} of {ROUNDS} were killed while something waited");
    assert!(killed_at_work > ROUNDS / 10, "{killed_at_work}");
    assert_each_ran_once(outbox.sent, &to, &scene).await;
    worker.stop().await;
}

/// Nobody tells it: a producer put them there and died. And the worker does nothing else for it as long as there is nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_carries_what_a_producer_left_behind() {
    let server = Server::start();
    let [from, to] = queues(&server).await;
    let scene = Scene::new();
    let workers = [forgetful(&from, &scene), forgetful(&to, &scene)];
    let mut outbox = Outbox::new(&server);
    for _ in 0..3 {
        outbox.put(1_000);
        eventually_async(20 * SECOND, async || is_empty(&from).await).await;
        let looks = server.calls("zlexcount");
        tokio::time::sleep(5 * SECOND).await;
        assert_eq!(
            server.calls("zlexcount"),
            looks,
            "an empty outbox is looked at"
        );
    }
    assert_each_ran_once(outbox.sent, &to, &scene).await;
    assert!(
        server
            .ask::<Vec<String>>(&["SMEMBERS", "oxcart:queues"])
            .contains(&TO.to_owned())
    );
    for worker in workers {
        worker.stop().await;
    }
}

/// What cannot go to one queue does not hold up what is for another; and it goes when it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_in_trouble_is_tried_again() {
    let server = Server::start();
    let [from, to] = queues(&server).await;
    let scene = Scene::new();
    let _: () = server.ask(&["SET", "oxcart:{billing}:sources", "garbage"]);
    let mut outbox = Outbox::new(&server);
    outbox.put(10);
    let (builder, events) = support::workers::watched(worker(&from, &scene));
    let relaying = run(builder);
    eventually(20 * SECOND, || !events.troubles().is_empty()).await;
    assert!(
        events.troubles()[0].contains("WRONGTYPE"),
        "{:?}",
        events.troubles()
    );
    let left = from.outbox().await.unwrap();
    assert_eq!((left.len(), left[0].messages), (1, 10));
    assert!(from.relay().await.is_err());
    let _: u64 = server.ask(&["DEL", "oxcart:{billing}:sources"]);
    eventually_async(40 * SECOND, async || is_empty(&from).await).await;
    let worker = forgetful(&to, &scene);
    assert_each_ran_once(outbox.sent, &to, &scene).await;
    for worker in [worker, relaying] {
        worker.stop().await;
    }
}

/// A queue is fed from a log by two processes that know nothing of each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_a_log_that_two_feed_is_taken_once() {
    const ENTRIES: u64 = 3_000;
    let server = Server::start();
    let [_, to] = queues(&server).await;
    let scene = Scene::new();
    let worker = forgetful(&to, &scene);
    let feeder = async |seed: u64| {
        let [_, to] = queues(&server).await;
        let mut random = fastrand::Rng::with_seed(seed);
        loop {
            let stands = to.fed("log").await.unwrap().unwrap_or(0);
            if stands == ENTRIES {
                return;
            }
            let most = (ENTRIES - stands).min(700);
            let jobs = vec![Work::Quick; usize::try_from(random.u64(1..=most)).unwrap()];
            to.enqueue_many(jobs)
                .from("log", stands + 1..)
                .await
                .unwrap();
        }
    };
    futures::join!(feeder(1), feeder(2), feeder(3));
    assert_each_ran_once(usize::try_from(ENTRIES).unwrap(), &to, &scene).await;
    worker.stop().await;
}
