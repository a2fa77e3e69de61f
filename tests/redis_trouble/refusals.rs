//! Redis answers, but says no: for now, or until an operator acts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oxcart::{Backoff, ErrorKind, Oxcart, Queue};

use crate::support::checks::{assert_each_ran_once, assert_typed};
use crate::support::jobs::{Scene, Work};
use crate::support::workers::{QUEUE, drained, queue_at, run, server_and_queue, watched, worker};
use crate::support::{Server, ServerOptions, eventually, eventually_blocking};

const SECOND: Duration = Duration::from_secs(1);
const JOBS: usize = 200;
/// So many of them end when the mood has changed, and no sooner.
const HELD: usize = 10;

/// A way for Redis to refuse, and the way back.
struct Mood {
    enter: fn(&Arc<Server>),
    leave: fn(&Server),
    /// What the server says, in lower case.
    code: &'static str,
    /// What it says to those that only read, if it refuses them, too.
    to_readers: Option<&'static str>,
    told: Told,
}

/// When a producer is told of it.
#[derive(PartialEq)]
enum Told {
    /// An operator has to act.
    AtOnce,
    /// It may pass.
    AtTheLimit,
}

/// The queue for a producer that waits so long for an answer.
async fn patient_for(limit: Duration, server: &Server) -> Queue {
    let settings = Oxcart::builder().call_timeout(limit);
    let oxcart = settings.connect(&server.url()).await.unwrap();
    oxcart.queue(QUEUE).unwrap()
}

fn says(text: &impl ToString, code: &str) -> bool {
    text.to_string().to_lowercase().contains(code)
}

/// How often the server has said no so far. Not how often it did not know a command: clients try
/// some that are new, each time they connect.
fn refusals(server: &Server) -> u64 {
    let stats: String = server.ask(&["INFO", "errorstats"]);
    let counts = stats.lines().filter_map(|line| {
        let (code, count) = line.strip_prefix("errorstat_")?.split_once(":count=")?;
        (code != "ERR").then(|| count.trim().parse::<u64>().expect("a number"))
    });
    counts.sum()
}

/// Lets a worker and a producer run into the mood and out of it again.
async fn survive(options: ServerOptions, mood: Mood) {
    let server = Arc::new(options.start());
    // What is refused at once is no matter of patience.
    let limit = match mood.told {
        Told::AtOnce => 20 * SECOND,
        Told::AtTheLimit => SECOND,
    };
    let queue = patient_for(limit, &server).await;
    let scene = Scene::new();
    let (builder, events) = watched(worker(&queue, &scene).concurrency(20));
    let worker = run(builder);
    let mut jobs = vec![Work::Hold; HELD];
    jobs.resize(JOBS - 1, Work::sleep(Duration::from_millis(20)));
    queue.enqueue_many(jobs).await.unwrap();
    eventually(10 * SECOND, || scene.runs().len() >= JOBS / 4).await;

    let before = refusals(&server);
    tokio::task::block_in_place(|| (mood.enter)(&server));
    // Whatever else is done by now: the worker has something to say.
    scene.release(HELD);
    let asked = Instant::now();
    let mut request = queue.enqueue(Work::Quick);
    let error = (&mut request).await.unwrap_err();
    assert_typed(&error, ErrorKind::Refused, asked);
    assert!(says(&error, mood.code), "{error}");
    if let Some(code) = mood.to_readers {
        let error = queue.counts().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
        assert!(says(&error, code), "{error}");
    }
    tokio::time::sleep(2 * SECOND).await;
    tokio::task::block_in_place(|| (mood.leave)(&server));
    let refused = refusals(&server) - before;
    assert!(refused < 100, "{refused} refusals in 3 s");

    (&mut request).await.unwrap();
    assert_each_ran_once(JOBS, &queue, &scene).await;
    assert_eq!(events.lost_leases(), []);
    let troubles = events.troubles();
    assert!(
        troubles.iter().any(|trouble| says(trouble, mood.code)),
        "{troubles:?}"
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_readonly_and_masterdown_are_waited_out() {
    if crate::support::road::is_skipped_in_a_cluster("REPLICAOF") {
        return;
    }
    let mood = Mood {
        // A replica whose primary does not exist; it keeps what it has.
        enter: |server| {
            server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
        },
        leave: |server| {
            server.cli(&["REPLICAOF", "NO", "ONE"]);
        },
        code: "readonly",
        to_readers: Some("masterdown"),
        told: Told::AtTheLimit,
    };
    let options = Server::options().arg("--replica-serve-stale-data", "no");
    survive(options, mood).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_busy_is_waited_out() {
    let mood = Mood {
        enter: |server| server.run_endless_script(),
        leave: |server| {
            server.cli(&["SCRIPT", "KILL"]);
            // It ends a moment after it was told to.
            eventually_blocking(10 * SECOND, || server.try_cli(&["GET", "x"]).is_ok());
        },
        code: "busy",
        to_readers: Some("busy"),
        told: Told::AtTheLimit,
    };
    let options = Server::options().arg("--busy-reply-threshold", "50");
    survive(options, mood).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_noreplicas_is_refused_at_once_and_gone_on_from() {
    let mood = Mood {
        enter: |server| {
            server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        },
        leave: |server| {
            server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
        },
        code: "noreplicas",
        to_readers: None,
        told: Told::AtOnce,
    };
    survive(Server::options(), mood).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_misconf_is_refused_at_once_and_gone_on_from() {
    fn save(server: &Server, outcome: &str) {
        server.cli(&["BGSAVE"]);
        eventually_blocking(10 * SECOND, || {
            server.info("rdb_bgsave_in_progress").trim() == "0"
                && server.info("rdb_last_bgsave_status").trim() == outcome
        });
    }
    let mood = Mood {
        enter: |server| {
            // A folder lies where the snapshot belongs.
            std::fs::create_dir(server.folder().join("snapshot")).unwrap();
            server.cli(&["CONFIG", "SET", "save", "3600 1000000000"]);
            save(server, "err");
        },
        leave: |server| {
            std::fs::remove_dir(server.folder().join("snapshot")).unwrap();
            save(server, "ok");
        },
        code: "misconf",
        to_readers: None,
        told: Told::AtOnce,
    };
    survive(Server::options().arg("--dbfilename", "snapshot"), mood).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_loading_is_waited_out() {
    let server = Server::options()
        .aof_always()
        .arg("--key-load-delay", "50")
        .start();
    let queue = queue_at(&server.url()).await;
    let scene = Scene::new();
    let (builder, events) = watched(worker(&queue, &scene).concurrency(20));
    let worker = run(builder);
    // Something to load before what is ours, so that it takes a while.
    let fill = "for i = 1, 20000 do redis.call('SET', i, i) end";
    server.cli(&["EVAL", fill, "0"]);
    let job = Work::sleep(Duration::from_millis(20));
    queue.enqueue_many(vec![job; JOBS]).await.unwrap();
    eventually(10 * SECOND, || scene.runs().len() >= JOBS / 4).await;

    server.kill();
    std::thread::scope(|threads| {
        threads.spawn(|| server.restart());
        eventually_blocking(10 * SECOND, || server.is_loading());
    });
    assert_each_ran_once(JOBS, &queue, &scene).await;
    assert_eq!(events.lost_leases(), []);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_full_redis_refuses_new_work_at_once_and_finishes_what_it_has() {
    let (server, _) = server_and_queue().await;
    let queue = patient_for(20 * SECOND, &server).await;
    let scene = Scene::new();
    queue.enqueue_many(vec![Work::Quick; 300]).await.unwrap();
    let soon = (0..20).map(|_| queue.enqueue(Work::Quick).delay(SECOND));
    queue.enqueue_many(soon).await.unwrap();
    let fails = queue.enqueue(Work::Fail { times: 2 });
    let backoff = Backoff::fixed(Duration::from_millis(100));
    let fails = fails.backoff(backoff).await.unwrap();

    let used: u64 = server.info("used_memory").parse().unwrap();
    server.cli(&["CONFIG", "SET", "maxmemory", &(used / 2).to_string()]);
    let mut one = queue.enqueue(Work::Quick);
    let mut many = queue.enqueue_many(vec![Work::Quick; 600]);
    let asked = Instant::now();
    for error in [
        (&mut one).await.unwrap_err(),
        (&mut many).await.unwrap_err(),
    ] {
        assert_typed(&error, ErrorKind::Refused, asked);
        assert!(says(&error, "oom"), "{error}");
    }

    let worker = run(worker(&queue, &scene).concurrency(20));
    fails.result().await.unwrap();
    let totals = drained(&queue, 20 * SECOND).await.totals;
    assert_eq!((totals.added, totals.completed), (321, 321));

    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    (&mut one).await.unwrap();
    assert_eq!((&mut many).await.unwrap().len(), 600);
    let totals = drained(&queue, 20 * SECOND).await.totals;
    assert_eq!((totals.added, totals.completed), (922, 922));
    worker.stop().await;
}

/// Without its password, what a large call gets is not `NOAUTH`: a client that is not known may not
/// send so many arguments.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_password_that_is_set_under_a_worker_and_taken_away_later_costs_no_result() {
    let server = Server::start();
    // That password is one of the user whom every server has.
    let queue = queue_at(&server.open_url()).await;
    let client = redis::Client::open(server.plain_url()).unwrap();
    let mut operator = client.get_connection().unwrap();
    let mut set_password = |password: &str| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("requirepass").arg(password);
        set.exec(&mut operator).unwrap();
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg("normal");
        kill.exec(&mut operator).unwrap();
    };
    let scene = Scene::new();
    let (builder, events) = watched(worker(&queue, &scene).concurrency(HELD));
    let worker = run(builder);
    queue.enqueue_many(vec![Work::Hold; HELD]).await.unwrap();
    eventually(10 * SECOND, || scene.running().len() == HELD).await;

    set_password("secret");
    scene.release(HELD);
    eventually(10 * SECOND, || !events.troubles().is_empty()).await;
    let asked = Instant::now();
    let error = queue.enqueue(Work::Quick).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsuitable, "{error:?}");
    assert!(!error.is_retryable() && asked.elapsed() < 4 * SECOND);
    tokio::time::sleep(2 * SECOND).await;
    set_password("");

    let counts = drained(&queue, 20 * SECOND).await;
    assert_eq!((counts.totals.completed, counts.dead), (HELD as u64, 0));
    assert_eq!(events.lost_leases(), []);
    worker.stop().await;
}
