//! The one job of the fault tests: its arguments choose what its handler does, and a ledger
//! outside Redis keeps what the handlers really did.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oxcart::{Context, Failure, Job, JobId, State};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::Ledger;
use super::books::Books;
pub use super::books::Run;

/// A job, by what its handler does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Work {
    /// Succeeds at once.
    Quick,
    /// Succeeds after this time.
    Sleep { ms: u64 },
    /// Blocks its thread for this time, then succeeds.
    Block { ms: u64 },
    /// Fails this often, then succeeds.
    Fail { times: u32 },
    /// Takes its process down after this time.
    Abort { after_ms: u64 },
    /// The first time, goes on until its process is gone. Later runs succeed after this time.
    Perish { later_ms: u64 },
    /// Goes on until [`Scene::release`] lets it end, or until it is cancelled, which is an error.
    Hold,
    /// The first time, goes on until it is told to stop and then still tries to succeed, after a
    /// last report of progress if `reports`. Later runs succeed at once.
    Zombie { reports: bool },
    /// Says how far it is, then succeeds.
    Report,
    /// Succeeds at once, and carries this along.
    Carry { payload: String },
}

impl Work {
    /// Succeeds after this time.
    pub fn sleep(time: Duration) -> Self {
        Self::Sleep {
            ms: u64::try_from(time.as_millis()).expect("a test does not sleep for ages"),
        }
    }

    /// A payload of about this size.
    pub fn carry(bytes: usize) -> Self {
        Self::Carry {
            payload: "x".repeat(bytes),
        }
    }
}

/// What a run that succeeded gives back: which one it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub fence: u64,
    pub pid: u32,
}

impl Job for Work {
    const NAME: &'static str = "work";
    type Output = Done;
}

/// The handler.
pub async fn work(job: Work, ctx: Context, scene: State<Scene>) -> Result<Done, Failure> {
    let run = scene.begin(&ctx);
    let done = Done {
        fence: ctx.attempt().fence.get(),
        pid: std::process::id(),
    };
    match job {
        Work::Quick | Work::Carry { .. } => {}
        Work::Report => ctx.progress(&50).await?,
        Work::Sleep { ms } => tokio::time::sleep(Duration::from_millis(ms)).await,
        Work::Block { ms } => std::thread::sleep(Duration::from_millis(ms)),
        Work::Fail { times } if ctx.attempt().number <= times => {
            run.end("failed");
            return Err("as asked".into());
        }
        Work::Fail { .. } => {}
        Work::Abort { after_ms } => {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            std::process::abort();
        }
        Work::Perish { .. } if ctx.attempt().stalls == 0 => std::future::pending().await,
        Work::Perish { later_ms } => tokio::time::sleep(Duration::from_millis(later_ms)).await,
        Work::Hold => tokio::select! {
            permit = scene.gate.acquire() => permit?.forget(),
            () = ctx.cancellation().cancelled() => {
                run.end("cancelled");
                return Err("cancelled".into());
            }
        },
        Work::Zombie { reports } if ctx.attempt().stalls == 0 => {
            ctx.cancellation().cancelled().await;
            scene.note(&format!("cancelled {}", done.fence));
            if reports && let Err(error) = ctx.progress("still here").await {
                scene.note(&format!("progress {:?} {}", error.kind(), done.fence));
            }
        }
        Work::Zombie { .. } => {}
    }
    run.end("ok");
    Ok(done)
}

/// What the handlers of one test share; a worker's state.
#[derive(Clone)]
pub struct Scene {
    ledger: Arc<Ledger>,
    running: Arc<Mutex<HashSet<String>>>,
    gate: Arc<Semaphore>,
}

impl Scene {
    pub fn new() -> Self {
        Self::with(Ledger::create())
    }

    /// The scene of another process.
    pub fn open(ledger: &Path) -> Self {
        Self::with(Ledger::open(ledger))
    }

    fn with(ledger: Ledger) -> Self {
        Self {
            ledger: Arc::new(ledger),
            running: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    /// Where the ledger is, for a worker process.
    pub fn path(&self) -> &Path {
        self.ledger.path()
    }

    /// Lets this many [`Work::Hold`] end.
    pub fn release(&self, jobs: usize) {
        self.gate.add_permits(jobs);
    }

    /// The jobs whose handlers run in this process now.
    pub fn running(&self) -> HashSet<String> {
        self.lock().clone()
    }

    /// A remark, for [`notes`](Self::notes).
    pub fn note(&self, text: &str) {
        self.ledger.record(&format!("note {text}"));
    }

    /// All remarks, in order.
    pub fn notes(&self) -> Vec<String> {
        self.books().notes().to_vec()
    }

    /// Every run so far, in the order in which they began.
    pub fn runs(&self) -> Vec<Run> {
        self.books().runs().to_vec()
    }

    /// The runs of each job, in the order in which they began.
    pub fn runs_by_job(&self) -> HashMap<String, Vec<Run>> {
        let books = self.books();
        let owned =
            |(id, runs): (&str, Vec<&Run>)| (id.to_owned(), runs.into_iter().cloned().collect());
        books.by_job().map(owned).collect()
    }

    /// The runs of one job.
    pub fn runs_of(&self, id: &JobId) -> Vec<Run> {
        self.books().of(id.as_str()).into_iter().cloned().collect()
    }

    /// The ledger as it is now.
    pub fn books(&self) -> Books {
        let mut books = Books::open(self.path());
        books.catch_up();
        books
    }

    fn begin(&self, ctx: &Context) -> Running<'_> {
        let id = ctx.id().as_str().to_owned();
        self.lock().insert(id.clone());
        let (fence, attempt, pid) = (
            ctx.attempt().fence,
            ctx.attempt().number,
            std::process::id(),
        );
        let line = format!("began {fence} {id} {attempt} {pid} {}", now_ms());
        self.ledger.record(&line);
        Running {
            scene: self,
            id,
            fence: fence.get(),
            said: false,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes how a run ends, also if it is dropped in the middle.
struct Running<'a> {
    scene: &'a Scene,
    id: String,
    fence: u64,
    said: bool,
}

impl Running<'_> {
    fn end(mut self, how: &str) {
        self.say(how);
    }

    fn say(&mut self, how: &str) {
        if !self.said {
            self.said = true;
            let line = format!("ended {} {how} {}", self.fence, now_ms());
            self.scene.ledger.record(&line);
            self.scene.lock().remove(&self.id);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.say("dropped");
    }
}

/// The clock of this machine, which is the servers' clock, too.
pub fn now_ms() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is later than 1970");
    u64::try_from(since_epoch.as_millis()).expect("it is not that late")
}
