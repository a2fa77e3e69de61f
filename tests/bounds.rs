//! No call is larger than it may be, whatever lies in the queue; and when everything is done,
//! nothing is left of it.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use oxcart::{JobState, QueueSettings, Retention};
use support::everything::a_bit_of_everything;
use support::jobs::{Scene, Work};
use support::workers::{drained, run, server_and_queue, worker};
use support::{Server, eventually, eventually_async, ids};

const SECOND: Duration = Duration::from_secs(1);
const BATCH: usize = 256;

fn key(part: &str) -> String {
    format!("oxcart:{{work}}:{part}")
}

/// Follows the events from the beginning, an entry for each call: how many jobs each handled, by
/// what happened to them.
struct Follower<'a> {
    server: &'a Server,
    last: String,
    seen: BTreeMap<String, Vec<usize>>,
}

impl<'a> Follower<'a> {
    fn new(server: &'a Server) -> Self {
        Self {
            server,
            last: "0-0".to_owned(),
            seen: BTreeMap::new(),
        }
    }

    /// Reads what has been added since. Often enough, or something is trimmed unseen.
    fn catch_up(&mut self) {
        loop {
            let page = entries(self.server, &format!("({}", self.last));
            let Some((last, _)) = page.last() else {
                return;
            };
            self.last.clone_from(last);
            for (kind, jobs) in page.into_iter().flat_map(|(_, kinds)| kinds) {
                self.seen.entry(kind).or_default().push(jobs);
            }
        }
    }

    fn most(&self, kind: &str) -> usize {
        self.seen[kind].iter().copied().max().unwrap()
    }

    fn all(&self, kind: &str) -> usize {
        self.seen[kind].iter().sum()
    }
}

/// A page of events from `from` on: their id, and for each kind how many jobs.
fn entries(server: &Server, from: &str) -> Vec<(String, Vec<(String, usize)>)> {
    let command = ["XRANGE", &key("events"), from, "+", "COUNT", "500"];
    let page: Vec<(String, Vec<String>)> = server.ask(&command);
    let jobs = |fields: Vec<String>| {
        let pairs = fields.chunks(2);
        let count = |pair: &[String]| (pair[0].clone(), pair[1].split_whitespace().count());
        pairs.map(count).collect()
    };
    let read = |(id, fields)| (id, jobs(fields));
    page.into_iter().map(read).collect()
}

/// How much there is in each key of the queue.
fn sizes(server: &Server) -> BTreeMap<String, u64> {
    let keys: Vec<String> = server.ask(&["KEYS", "*"]);
    let size = |key: &String| {
        let kind: String = server.ask(&["TYPE", key]);
        let verb = match kind.as_str() {
            "hash" => "HLEN",
            "zset" => "ZCARD",
            "stream" => "XLEN",
            "set" => "SCARD",
            other => panic!("{key} is a {other}"),
        };
        (key.clone(), server.ask(&[verb, key]))
    };
    keys.iter().map(size).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g7_g8_calls_and_events_are_bounded_at_any_backlog() {
    const EACH: usize = 20_000;
    let (server, queue) = server_and_queue().await;
    let mut events = Follower::new(&server);
    queue.enqueue_many(vec![Work::Quick; EACH]).await.unwrap();
    // The first few are under way when the server does not know the script yet: these wait for the one that brings it, and try again.
    let (calls, parts) = (server.calls("evalsha"), EACH.div_ceil(BATCH) as u64);
    assert!(calls <= parts + 4, "{calls} calls for {parts} parts");
    events.catch_up();
    let soon = Duration::from_millis(10);
    let delayed = (0..EACH).map(|_| queue.enqueue(Work::Quick).delay(soon));
    queue.enqueue_many(delayed).await.unwrap();

    let scene = Scene::new();
    let builder = worker(&queue, &scene).concurrency(1_000);
    let worker =
        run(builder.queue_settings(QueueSettings::new().keep_completed(Retention::Nothing)));
    eventually_async(60 * SECOND, async || {
        events.catch_up();
        queue.counts().await.unwrap().totals.completed == 2 * EACH as u64
    })
    .await;
    events.catch_up();

    // On a busy machine some jobs do not begin within a second, and go back in line.
    let given_back = events.all("active").saturating_sub(2 * EACH);
    for (kind, jobs) in [
        ("added", 2 * EACH),
        ("delayed", EACH),
        ("waiting", EACH + given_back),
        ("active", 2 * EACH + given_back),
        ("completed", 2 * EACH),
    ] {
        assert_eq!(events.all(kind), jobs, "{kind}");
        let most = events.most(kind);
        assert!(most <= BATCH, "{most} jobs {kind} in one call");
    }
    let mut kept = Follower::new(&server);
    kept.catch_up();
    let kept: usize = kept.seen.values().flatten().sum();
    assert!(kept <= 150_000, "{kept} ids are kept");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g7_a_call_carries_at_most_a_mebibyte() {
    const JOBS: usize = 100;
    const PAYLOAD: usize = 64 * 1024;
    const FIT: usize = 1024 * 1024 / PAYLOAD;
    let (server, queue) = server_and_queue().await;
    let jobs = vec![Work::carry(PAYLOAD); JOBS];
    queue.enqueue_many(jobs).await.unwrap();
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene).concurrency(JOBS));
    drained(&queue, 20 * SECOND).await;
    let mut events = Follower::new(&server);
    events.catch_up();
    for kind in ["added", "active"] {
        assert_eq!(events.all(kind), JOBS, "{kind}");
        let most = events.most(kind);
        assert!(most <= FIT, "{most} large jobs {kind} in one call");
        assert!(most > FIT / 2, "not more than {most} jobs {kind} in a call");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g7_the_jobs_of_a_large_dead_worker_are_taken_back_in_bounded_calls() {
    const JOBS: usize = 600;
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    queue.enqueue_many(vec![Work::Hold; JOBS]).await.unwrap();
    let crashed = run(worker(&queue, &scene).concurrency(JOBS).lease(2 * SECOND));
    eventually(10 * SECOND, || scene.running().len() == JOBS).await;
    crashed.crash().await;
    let living = run(worker(&queue, &scene).concurrency(JOBS));
    scene.release(JOBS);
    let counts = drained(&queue, 60 * SECOND).await;
    let totals = counts.totals;
    assert_eq!(
        (totals.stalled, totals.completed),
        (JOBS as u64, JOBS as u64)
    );
    let mut events = Follower::new(&server);
    events.catch_up();
    assert_eq!(events.all("stalled"), JOBS);
    for kind in ["stalled", "active"] {
        let most = events.most(kind);
        assert!(most <= BATCH, "{most} jobs {kind} in one call");
    }
    living.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_completed_jobs_are_kept_up_to_a_number() {
    const KEPT: u64 = 100;
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene)
        .concurrency(50)
        .queue_settings(QueueSettings::new().keep_at_most(KEPT)));
    queue.enqueue_many(vec![Work::Quick; 1_800]).await.unwrap();
    let counts = drained(&queue, 20 * SECOND).await;
    assert_eq!(counts.completed, KEPT);
    // Once all of the others are done, so that it is certain which are the oldest.
    let handles = queue.enqueue_many(vec![Work::Quick; 200]).await.unwrap();
    let counts = drained(&queue, 20 * SECOND).await;
    assert_eq!(counts.completed, KEPT);
    assert_eq!(counts.totals.completed, 2_000);
    let kept = ids(&queue, JobState::Completed).await;
    let last: BTreeSet<_> = handles.iter().map(|handle| handle.id()).collect();
    assert!(
        kept.iter().all(|id| last.contains(id)),
        "the oldest go first"
    );
    for part in ["jobs", "results"] {
        assert_eq!(server.ask::<u64>(&["HLEN", &key(part)]), KEPT, "{part}");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_completed_jobs_are_kept_up_to_an_age_and_dead_ones_for_ever() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let age = Retention::For(SECOND);
    let builder = worker(&queue, &scene)
        .concurrency(50)
        .queue_settings(QueueSettings::new().keep_completed(age));
    let worker = run(builder);
    let fails = queue.enqueue(Work::Fail { times: 9 }).attempts(1);
    fails.keep(age).await.unwrap();
    queue.enqueue_many(vec![Work::Quick; 800]).await.unwrap();
    let longer = queue
        .enqueue(Work::Quick)
        .keep(Retention::For(3600 * SECOND));
    let longer = longer.await.unwrap();
    let counts = drained(&queue, 20 * SECOND).await;
    assert_eq!((counts.totals.completed, counts.dead), (801, 1));

    // Trimming takes place every 15 s or so.
    eventually_async(25 * SECOND, async || {
        queue.counts().await.unwrap().completed == 1
    })
    .await;
    assert!(longer.info().await.unwrap().is_some(), "it asked for more");
    assert_eq!(queue.counts().await.unwrap().dead, 1);
    assert_eq!(server.ask::<u64>(&["HLEN", &key("jobs")]), 2);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g7_g8_trimming_keeps_pace_with_what_expires_in_bounded_calls() {
    const JOBS: u64 = 30_000;
    const UNLIMITED: u64 = 1_000_000;
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let keeps = worker(&queue, &scene).concurrency(500).queue_settings(
        QueueSettings::new()
            .keep_completed(Retention::For(3600 * SECOND))
            .keep_at_most(UNLIMITED),
    );
    let keeps = run(keeps);
    let jobs = vec![Work::Quick; JOBS as usize];
    queue.enqueue_many(jobs).await.unwrap();
    let counts = drained(&queue, 60 * SECOND).await;
    assert_eq!(counts.totals.completed, JOBS);
    keeps.stop().await;
    // All of it has expired when the next worker comes, as if an hour had gone by.
    let expire = "for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
        redis.call('ZADD', KEYS[1], 1, id) end";
    server.cli(&["EVAL", expire, "1", &key("completed")]);

    let completed = || server.ask::<u64>(&["ZCARD", &key("completed")]);
    let trims =
        run(worker(&queue, &scene).queue_settings(QueueSettings::new().keep_at_most(UNLIMITED)));
    let calls = server.calls("evalsha");
    eventually(30 * SECOND, || completed() < JOBS).await;
    // It has begun, and goes on without a pause.
    eventually(10 * SECOND, || completed() == 0).await;
    let calls = server.calls("evalsha") - calls;
    let least = JOBS / BATCH as u64;
    assert!(calls >= least, "{JOBS} jobs dropped in {calls} calls");
    assert!(calls <= 2 * least, "{calls} calls for {JOBS} jobs");
    assert_eq!(server.ask::<u64>(&["HLEN", &key("jobs")]), 0);
    trims.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_nothing_is_left_of_what_is_done() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let builder = worker(&queue, &scene).concurrency(40);
    let worker =
        run(builder.queue_settings(QueueSettings::new().keep_completed(Retention::Nothing)));
    a_bit_of_everything(&queue, &scene, 2).await;
    let before = sizes(&server);
    a_bit_of_everything(&queue, &scene, 400).await;
    let after = sizes(&server);

    // But for the wake-up token, which comes and goes, and what the worker reports of itself, which expires.
    let passing = ["wake", "about", "history", "workers"].map(key);
    let names = |sizes: &BTreeMap<String, u64>| -> Vec<String> {
        let lasting = sizes.keys().filter(|name| !passing.contains(name));
        lasting.cloned().collect()
    };
    assert_eq!(names(&after), names(&before));
    let expected = ["active", "calls", "claims", "events", "meta"].map(key);
    let registry = "oxcart:queues".to_owned();
    let left: Vec<String> = names(&after)
        .into_iter()
        .filter(|name| *name != registry)
        .collect();
    assert_eq!(left, expected);
    // The sentinels.
    assert_eq!(after[&key("active")], 1);
    assert_eq!(after[&key("claims")], 1);
    // Two lanes of the producer, two of the worker, and one of each worker that came and went.
    assert!(after[&key("calls")] <= 2 + 2 + 2, "{after:?}");
    // A number for each thing that can happen, and none for a job.
    let meta: Vec<String> = server.ask(&["HKEYS", &key("meta")]);
    assert!(meta.len() < 20, "{meta:?}");
    worker.stop().await;
}
