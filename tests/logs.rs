//! What is worth a warning is warned of, and nothing else.

#[path = "support/mod.rs"]
mod support;

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use oxcart::{ErrorKind, EventKind, Oxcart};
use tracing_subscriber::filter::LevelFilter;

use support::jobs::{Scene, Work};
use support::workers::{QUEUE, run, worker};
use support::{Server, eventually};

const SECOND: Duration = Duration::from_secs(1);

/// What this process has logged as a warning or worse. The tests take turns: the library logs on a thread of its own.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    async fn taken() -> (Self, tokio::sync::MutexGuard<'static, ()>) {
        static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        static LOG: std::sync::OnceLock<Log> = std::sync::OnceLock::new();
        let turn = TURN.lock().await;
        let log = LOG.get_or_init(|| {
            let log = Log::default();
            let writer = log.clone();
            tracing_subscriber::fmt()
                .with_max_level(LevelFilter::WARN)
                .with_ansi(false)
                .with_writer(move || writer.clone())
                .init();
            log
        });
        log.lines();
        (log.clone(), turn)
    }

    /// Since this was last asked.
    fn lines(&self) -> Vec<String> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&std::mem::take(&mut *lines)).into_owned();
        text.lines().map(str::to_owned).collect()
    }
}

/// How idle connections end.
enum Closing {
    /// The server's `timeout`. It spares those that wait for something.
    ByServer,
    /// A firewall or a proxy does not know what they wait for.
    Any,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_nothing_is_said_of_connections_that_a_server_closes_while_they_are_idle() {
    nothing_is_said(Closing::ByServer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_nothing_is_said_of_connections_that_a_firewall_closes_while_they_are_idle() {
    nothing_is_said(Closing::Any).await;
}

/// A producer, a reader of events and one of a result, a schedule, and a worker that holds a job.
async fn nothing_is_said(closing: Closing) {
    const ROUNDS: usize = 4;
    let (log, _turn) = Log::taken().await;
    let timeout = match closing {
        Closing::ByServer => "1",
        Closing::Any => "0",
    };
    let server = Server::options().arg("--timeout", timeout).start();
    server.cli(&["CONFIG", "SET", "loglevel", "verbose"]);
    let queue = Oxcart::connect(&server.url()).await.unwrap();
    let queue = queue.queue(QUEUE).unwrap();
    let mut events = queue.events().await.unwrap();
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene).lease(2 * SECOND));
    let schedule = queue.schedule("hourly").every(3600 * SECOND);
    schedule.job(Work::Quick).await.unwrap();
    let held = queue.enqueue(Work::Hold).await.unwrap();
    let held = tokio::spawn(async move { held.result().within(60 * SECOND).await });
    let closed = || server.log().matches("Closing idle client").count();
    for round in 0..ROUNDS {
        let before = closed();
        tokio::time::sleep(3 * SECOND / 2).await;
        match closing {
            Closing::ByServer => {
                eventually(20 * SECOND, || closed() >= before + 2).await;
            }
            Closing::Any => {
                let kill = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
                let killed: usize = server.ask(&kill);
                assert!(killed >= 3, "{killed}");
            }
        }
        if round % 2 == 0 {
            queue.enqueue(Work::Quick).await.unwrap();
        }
        queue.counts().await.unwrap();
    }
    scene.release(1);
    held.await.unwrap().unwrap();
    worker.stop().await;
    let mut completed = 0;
    while completed < 1 + ROUNDS / 2 {
        let event = events.next().await.unwrap();
        completed += usize::from(matches!(event.kind, EventKind::Completed { .. }));
        let is_well = !matches!(
            event.kind,
            EventKind::Interrupted { .. } | EventKind::Missed
        );
        assert!(is_well, "{event:?}");
    }
    let lines = log.lines();
    let is_of_setup = |line: &&String| line.contains("keeps nothing on disk");
    let warnings: Vec<_> = lines.iter().filter(|line| !is_of_setup(line)).collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
}

/// Several workers may run in one process.
#[test]
fn each_log_line_of_a_worker_names_its_queue() {
    let nameless = |file: &Path, text: &str| {
        let source = text.split("\n#[cfg(test)]").next().unwrap_or(text);
        for level in ["error!(", "warn!(", "info!(", "debug!(", "trace!("] {
            for (at, _) in source.match_indices(level) {
                let said = source[at..].split_inclusive(");").next().unwrap_or("");
                assert!(said.contains("queue"), "{}: {said}", file.display());
            }
        }
    };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<_> = ["worker", "maintenance", "schedule"]
        .map(|room| source.join(room))
        .into();
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            // One is about signals; the errors that the other logs name their queues.
            let other = ["shutdown.rs", "workers.rs"].iter();
            if path.is_dir() {
                folders.push(path);
            } else if !other.clone().any(|other| path.ends_with(other)) {
                nameless(&path, &std::fs::read_to_string(&path).unwrap());
                files += 1;
            }
        }
    }
    assert!(files > 20, "{files}");
}

/// Of oxcart's keys none expires, so that only policies for all keys endanger them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_only_a_policy_that_evicts_jobs_is_warned_of() {
    let (log, _turn) = Log::taken().await;
    let server = Server::options().arg("--maxmemory", "64mb").start();
    for (policy, evicts) in [
        ("noeviction", false),
        ("volatile-lru", false),
        ("volatile-lfu", false),
        ("volatile-random", false),
        ("volatile-ttl", false),
        ("allkeys-lru", true),
        ("allkeys-lfu", true),
        ("allkeys-random", true),
    ] {
        server.cli(&["CONFIG", "SET", "maxmemory-policy", policy]);
        Oxcart::connect(&server.url()).await.unwrap();
        let lines = log.lines();
        let is_told = |line: &String| line.contains("may evict keys") && line.contains(policy);
        assert_eq!(lines.iter().any(is_told), evicts, "{policy}: {lines:?}");
    }
}

/// With `volatile-lru` a full Redis evicts the keys of a cache, none of ours, and refuses new work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_full_redis_that_evicts_keys_that_expire_keeps_every_job() {
    let (_log, _turn) = Log::taken().await;
    let server = Server::start();
    let queue = Oxcart::connect(&server.url()).await.unwrap();
    let queue = queue.queue(QUEUE).unwrap();
    let scene = Scene::new();
    queue
        .enqueue_many(vec![Work::carry(1000); 500])
        .await
        .unwrap();
    let fill =
        "for i = 1, 500 do redis.call('SET', 'cache:' .. i, string.rep('x', 1000), 'EX', 1000) end";
    server.cli(&["EVAL", fill, "0"]);
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    let used: u64 = server.info("used_memory").parse().unwrap();
    server.cli(&["CONFIG", "SET", "maxmemory", &(used / 2).to_string()]);
    let error = queue.enqueue(Work::Quick).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
    assert!(error.to_string().contains("OOM"), "{error}");
    assert_eq!(server.ask::<i64>(&["EXISTS", "cache:1"]), 0);
    let worker = run(worker(&queue, &scene));
    eventually(20 * SECOND, || scene.runs().len() == 500).await;
    worker.stop().await;
}

/// A user who may only look can connect, and learns at once that he cannot work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_user_who_may_not_write_is_warned_when_he_connects() {
    let (log, _turn) = Log::taken().await;
    let server = Server::start();
    let url = server.open_url().replace("://", "://looks:a-password@");
    for (rule, warned) in [
        (&["~oxcart:*", "+@read", "+@write"][..], false),
        (&["~oxcart:*", "+@read"], true),
        (&["~other:*", "+@read", "+@write"], true),
    ] {
        let user = ["ACL", "SETUSER", "looks", "reset", "on", ">a-password"];
        let always = [
            "+@connection",
            "+@scripting",
            "+info",
            "+time",
            "+cluster|slots",
        ];
        server.cli(&[&user[..], &always, rule].concat());
        Oxcart::connect(&url).await.unwrap();
        let lines = log.lines();
        let said = lines.iter().any(|line| line.contains("may not write"));
        assert_eq!(said, warned, "{rule:?}: {lines:?}");
    }
}
