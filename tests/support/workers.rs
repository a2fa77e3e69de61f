//! Workers for [`Work`], in this process and in processes that can be killed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oxcart::{
    Counts, Error, JobId, Outcome, Oxcart, Queue, QueueSettings, Worker, WorkerBuilder,
    WorkerControl, WorkerEvent,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::jobs::{Scene, Work, work};
use super::{Process, Server, child_of_test, eventually, eventually_async, spawn_self};

/// The queue of every test: each has a server of its own.
pub const QUEUE: &str = "work";

/// The threads of a worker process on which handlers run.
pub const WORKER_THREADS: usize = 2;

/// Connects to `url`; the queue of the test.
pub async fn queue_at(url: &str) -> Queue {
    try_queue_at(url).await.expect("the server is there")
}

async fn try_queue_at(url: &str) -> Result<Queue, Error> {
    show_logs();
    Oxcart::connect(url).await?.queue(QUEUE)
}

/// A server and its queue.
pub async fn server_and_queue() -> (Server, Queue) {
    let server = Server::start();
    let queue = queue_at(&server.url()).await;
    (server, queue)
}

/// A worker for [`Work`](super::jobs::Work), to be set up further.
pub fn worker(queue: &Queue, scene: &Scene) -> WorkerBuilder {
    Worker::builder(queue).state(scene.clone()).handle(work)
}

/// Keeps what is out of the ordinary of what the worker tells.
pub fn watched(builder: WorkerBuilder) -> (WorkerBuilder, Events) {
    let events = Events::default();
    let keep = events.clone();
    let builder = builder.on_event(move |event| {
        if matches!(
            event,
            WorkerEvent::Ended {
                outcome: Outcome::LeaseLost,
                ..
            } | WorkerEvent::Recovered { .. }
                | WorkerEvent::RedisTrouble { .. }
                | WorkerEvent::RedisBack { .. }
        ) {
            keep.lock().push(event.clone());
        }
    });
    (builder, events)
}

/// What a worker told that is out of the ordinary.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Vec<WorkerEvent>>>);

impl Events {
    /// The attempts that lost their job, each with its fence.
    pub fn lost_leases(&self) -> Vec<(JobId, u64)> {
        let lost = |event: &WorkerEvent| match event {
            WorkerEvent::Ended {
                attempt,
                outcome: Outcome::LeaseLost,
                ..
            } => Some((attempt.id.clone(), attempt.fence.get())),
            _ => None,
        };
        self.lock().iter().filter_map(lost).collect()
    }

    /// How many jobs of dead workers this one took back.
    pub fn recovered(&self) -> usize {
        let jobs = |event: &WorkerEvent| match event {
            WorkerEvent::Recovered {
                stalled,
                dead,
                cancelled,
                ..
            } => stalled.len() + dead.len() + cancelled.len(),
            _ => 0,
        };
        self.lock().iter().map(jobs).sum()
    }

    /// What was wrong with Redis, each time that something began to be.
    pub fn troubles(&self) -> Vec<String> {
        let trouble = |event: &WorkerEvent| match event {
            WorkerEvent::RedisTrouble { error, .. } => Some(error.clone()),
            _ => None,
        };
        self.lock().iter().filter_map(trouble).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<WorkerEvent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker that runs in this process.
pub struct RunningWorker {
    pub control: WorkerControl,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Error>>,
}

/// Builds the worker and lets it run.
pub fn run(builder: WorkerBuilder) -> RunningWorker {
    let worker = builder.build().expect("the worker is set up well");
    let control = worker.control();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(worker.run_until(async {
        // A test that fails drops the sender, which stops the worker as well.
        let _ = stopped.await;
    }));
    RunningWorker {
        control,
        stop,
        task,
    }
}

impl RunningWorker {
    /// Shuts down gracefully.
    pub async fn stop(self) {
        self.try_stop().await.expect("every outcome was stored");
    }

    /// The same, with what went wrong.
    pub async fn try_stop(self) -> Result<(), Error> {
        let _ = self.stop.send(());
        self.task.await.expect("a worker does not panic")
    }

    /// Ends it as a crash does: it says nothing to anybody. Its handlers are stopped.
    pub async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
        let stopped = || self.control.running() == 0;
        eventually(Duration::from_secs(5), stopped).await;
    }

    pub fn is_running(&self) -> bool {
        !self.task.is_finished()
    }
}

/// A worker of this process that is too busy to take a job but not to do its other duties. So
/// jobs run where the test wants them, and recovery does not wait for a process to start.
pub async fn bystander(queue: &Queue, scene: &Scene, max_stalls: u32) -> RunningWorker {
    let builder = worker(queue, scene)
        .concurrency(1)
        .lease(Duration::from_secs(10));
    let bystander = run(builder.queue_settings(QueueSettings::new().max_stalls(max_stalls)));
    let hold = queue.enqueue(Work::Hold).await.unwrap();
    let id = hold.id().as_str();
    eventually(Duration::from_secs(5), || scene.running().contains(id)).await;
    bystander
}

/// Waits until workers look after the queue's leases, and may judge them: not at once, for the living
/// get some time to renew theirs.
pub async fn looked_after(server: &Server) {
    let recovery = ["HGET", "oxcart:{work}:meta", "recovery"];
    eventually(Duration::from_secs(20), || {
        let known: Option<String> = server.ask(&recovery);
        let known = known.unwrap_or_default();
        let moments: Vec<u64> = known.split(' ').filter_map(|ms| ms.parse().ok()).collect();
        moments.len() == 5 && moments[1] <= moments[0]
    })
    .await;
}

/// Waits until no job is left that has not ended; answers what was counted then.
pub async fn drained(queue: &Queue, limit: Duration) -> Counts {
    let mut last = Counts::default();
    eventually_async(limit, async || {
        // Some tests break what this goes through.
        let Ok(counts) = queue.counts().await else {
            return false;
        };
        let left = counts.left();
        last = counts;
        left == 0
    })
    .await;
    last
}

/// How a worker process is set up.
#[derive(Clone)]
pub struct WorkerProcess {
    pub url: String,
    pub concurrency: usize,
    pub lease: Duration,
    pub grace: Duration,
    pub max_stalls: u32,
    pub keep_at_most: u64,
    /// More environment for the process.
    pub env: Vec<(String, String)>,
}

impl WorkerProcess {
    pub fn of(server: &Server) -> Self {
        Self {
            url: server.url(),
            concurrency: 10,
            lease: Duration::from_secs(1),
            grace: Duration::from_secs(30),
            max_stalls: 4,
            keep_at_most: 1_000,
            env: Vec::new(),
        }
    }

    /// Starts it. The test binary needs a test `worker_process` that calls [`run_as_process`].
    pub fn spawn(&self, scene: &Scene) -> Process {
        let ledger = scene.path().to_str().expect("a temp path is plain text");
        let millis = |time: Duration| time.as_millis().to_string();
        let settings = [
            ("WORK_URL", self.url.clone()),
            ("WORK_LEDGER", ledger.to_owned()),
            ("WORK_CONCURRENCY", self.concurrency.to_string()),
            ("WORK_LEASE_MS", millis(self.lease)),
            ("WORK_GRACE_MS", millis(self.grace)),
            ("WORK_MAX_STALLS", self.max_stalls.to_string()),
            ("WORK_KEEP_AT_MOST", self.keep_at_most.to_string()),
        ];
        let given = self
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let own = settings.iter().map(|(name, value)| (*name, value.as_str()));
        spawn_self("worker_process", &own.chain(given).collect::<Vec<_>>())
    }
}

/// What a worker process does until SIGTERM; nothing in an ordinary run of the tests.
pub fn run_as_process() {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .expect("threads can be started");
    runtime.block_on(async {
        let scene = Scene::open(setting("WORK_LEDGER").as_ref());
        // A supervisor of processes starts them again as long as the server is away.
        let queue = loop {
            match try_queue_at(&setting("WORK_URL")).await {
                Ok(queue) => break queue,
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let millis = |name| Duration::from_millis(number(name));
        let worker = worker(&queue, &scene)
            .concurrency(usize::try_from(number("WORK_CONCURRENCY")).expect("a small number"))
            .lease(millis("WORK_LEASE_MS"))
            .grace(millis("WORK_GRACE_MS"))
            .queue_settings(
                QueueSettings::new()
                    .max_stalls(u32::try_from(number("WORK_MAX_STALLS")).expect("a small number"))
                    .keep_at_most(number("WORK_KEEP_AT_MOST")),
            )
            .build()
            .expect("the worker is set up well");
        let ended = worker.run_until(oxcart::shutdown_signal()).await;
        ended.expect("every outcome was stored");
    });
}

/// Whatever `RUST_LOG` asks for, on standard error.
fn show_logs() {
    // The first test of a process does it for all.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .try_init();
}

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("a worker process needs {name}"))
}

fn number(name: &str) -> u64 {
    setting(name).parse().expect("a number")
}
