//! Processes that were forked from one that had made ids: no two make the same one, of a job or of
//! the lane of calls that it is sent on. Without the test harness, whose threads a fork would lose.

mod support;

use std::collections::HashSet;
use std::process::exit;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fork::{Fork, fork, waitpid};
use oxcart::{Enqueued, Failure, Job, JobId, Oxcart, QueueSettings, Retention, State, Worker};
use serde::{Deserialize, Serialize};
use support::{Server, eventually_async};

const JOBS: u64 = 20_000;
/// Two children, and a child of the first.
const PROCESSES: u64 = 3;
const START_IN: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Serialize, Deserialize)]
struct Numbered {
    process: u64,
    number: u64,
}

impl Job for Numbered {
    const NAME: &'static str = "numbered";
    type Output = ();
}

fn main() {
    let server = Server::start();
    let url = server.url();
    // From here on the process has an id to count from, and random numbers that are left.
    let _ = JobId::generate();
    let start = SystemTime::now() + START_IN;
    let first = in_child(|| {
        let grandchild = in_child(|| enqueue(&url, 2, start));
        enqueue(&url, 0, start);
        succeeds(grandchild);
    });
    let second = in_child(|| enqueue(&url, 1, start));
    succeeds(first);
    succeeds(second);
    runtime().block_on(run_all(&url));
    use_what_is_inherited(&url);
    println!(
        "{} jobs of {PROCESSES} forked processes ran once each",
        JOBS * PROCESSES
    );
}

/// A queue that was in use when the process was forked can be used in both.
fn use_what_is_inherited(url: &str) {
    let parents = runtime();
    let queue = parents.block_on(async {
        let oxcart = Oxcart::connect(url).await.unwrap();
        oxcart.queue("inherited").unwrap()
    });
    let enqueue_one = async |number| {
        let request = queue.enqueue(Numbered { process: 0, number });
        request.await.unwrap();
        assert_eq!(queue.counts().await.unwrap().totals.added, number);
    };
    parents.block_on(enqueue_one(1));
    let child = in_child(|| runtime().block_on(enqueue_one(2)));
    succeeds(child);
    parents.block_on(enqueue_one(3));
}

/// Runs it in a forked process, and gives the id of that.
fn in_child(run: impl FnOnce()) -> i32 {
    match fork().expect("a process can be forked") {
        Fork::Parent(child) => child,
        Fork::Child => {
            // Never back to the parent's `main`, which stops the server.
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
            exit(i32::from(ran.is_err()));
        }
    }
}

fn succeeds(child: i32) {
    assert_eq!(waitpid(child).expect("it is a child"), 0, "a child failed");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be started")
}

/// All begin at one moment: a copied generator makes the same of the same time.
fn enqueue(url: &str, process: u64, start: SystemTime) {
    runtime().block_on(async {
        let oxcart = Oxcart::connect(url).await.unwrap();
        let queue = oxcart.queue("forked").unwrap();
        while SystemTime::now() < start {}
        for number in 0..JOBS {
            let job = queue.enqueue(Numbered { process, number }).await.unwrap();
            assert_eq!(job.enqueued(), Enqueued::New);
        }
    });
}

/// Process and number of all that ran.
type Ran = Arc<Mutex<Vec<(u64, u64)>>>;

async fn handle(job: Numbered, ran: State<Ran>) -> Result<(), Failure> {
    ran.lock().unwrap().push((job.process, job.number));
    Ok(())
}

async fn run_all(url: &str) {
    let oxcart = Oxcart::connect(url).await.unwrap();
    let queue = oxcart.queue("forked").unwrap();
    let counts = queue.counts().await.unwrap();
    let all = JOBS * PROCESSES;
    assert_eq!((counts.waiting, counts.totals.added), (all, all));
    assert_eq!(counts.totals.clashed, 0);
    let ran = Ran::default();
    let worker = Worker::builder(&queue)
        .concurrency(500)
        .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing))
        .state(Arc::clone(&ran))
        .handle(handle)
        .build()
        .unwrap();
    let done = eventually_async(PATIENCE, async || {
        queue.counts().await.unwrap().totals.completed == all
    });
    worker.run_until(done).await.unwrap();
    let ran = ran.lock().unwrap();
    let different: HashSet<_> = ran.iter().collect();
    assert_eq!((ran.len() as u64, different.len() as u64), (all, all));
}
