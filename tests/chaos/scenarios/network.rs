//! A network that cuts, delays, falls silent, half opens, and loses replies after the call was
//! carried out.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oxcart::{JobId, JobState, Queue, QueueSettings, Retention};
use tokio::task::JoinHandle;

use crate::battery::Stage;
use crate::field::{Field, SECOND};
use crate::findings::{Findings, IDLE_MAX, thousands};
use crate::load::{Load, Pace, short};
use crate::support::jobs::{Scene, now_ms};
use crate::support::{Proxy, Server, eventually, ids};

const STRANDED_MAX: Duration = Duration::from_secs(2);

/// What can be wrong with a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fault {
    /// Replies are lost together with their connections.
    LoseReplies,
    /// Replies are lost, and their connections stay open.
    SwallowReplies,
    Delay,
    Cut,
    /// Taken and not answered: no way through.
    HalfOpen,
    /// Nobody listens: no way through.
    Refuse,
}

const FAULTS: [Fault; 6] = [
    Fault::LoseReplies,
    Fault::SwallowReplies,
    Fault::Delay,
    Fault::Cut,
    Fault::HalfOpen,
    Fault::Refuse,
];

pub(crate) async fn run(mut stage: Stage) -> Findings {
    let rounds = stage.pick(12, 120);
    let mut findings = Findings::default();
    let mut field = Field::new(Server::options()).await;
    field.work(|builder| {
        builder
            .concurrency(50)
            .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing))
    });
    let load = Load::start(&field.queue, &Pace::steady(50, 5), &mut stage.rng, short);
    let watch = Watch::start(field.direct.clone(), field.scene.clone());
    let mut injected: HashMap<Fault, usize> = HashMap::new();
    for round in 0..rounds {
        // Each of them comes up as often as the others.
        let fault = FAULTS[round % FAULTS.len()];
        *injected.entry(fault).or_default() += 1;
        inject(fault, &mut stage, &field.proxy, &watch).await;
        let took = field.back_after(now_ms(), &load).await;
        watch.blocked(false);
        findings.recovered_after(took, IDLE_MAX);
    }
    let told = load.stop().await;
    let worst = watch.stop().await;
    field.close(&mut findings, &told, 1, |_, _| false).await;

    let totals = field.direct.counts().await.expect("it is there").totals;
    let acknowledged = told.acknowledged.len();
    findings.must(totals.added as usize == acknowledged, || {
        format!("{} jobs were enqueued for {acknowledged}", totals.added)
    });
    findings.none_disturbed(&totals);
    findings.must(field.lost_leases() == 0, || "leases were lost".to_owned());
    findings.must(worst.stranded <= STRANDED_MAX, || {
        format!(
            "a job was active without a handler for {:?}",
            worst.stranded
        )
    });
    findings.must(worst.idle <= IDLE_MAX, || {
        format!("the worker was idle for {:?} while work waited", worst.idle)
    });
    findings.note(format!(
        "{} replies lost after their call was carried out; active without a handler {:.1} s at \
         most (≤ 2 s), idle while work waited {:.1} s (≤ 6 s)",
        thousands(field.proxy.replies_dropped() as usize),
        worst.stranded.as_secs_f64(),
        worst.idle.as_secs_f64()
    ));
    findings.load = format!(
        "{} jobs, 50 callers, 1 worker x 50",
        thousands(acknowledged)
    );
    findings.faults = format!(
        "{} each of: replies lost, swallowed, delayed; cut, half open, refused",
        rounds / FAULTS.len()
    );
    findings
}

async fn inject(fault: Fault, stage: &mut Stage, proxy: &Proxy, watch: &Watch) {
    let time = stage.time(300, 1_500);
    match fault {
        Fault::LoseReplies => {
            proxy.drop_reply_every(stage.rng.u64(2..=10));
            tokio::time::sleep(time).await;
            proxy.drop_reply_every(0);
        }
        Fault::SwallowReplies => {
            // One, and nothing that would swallow the answer to its repetition, too.
            let before = proxy.replies_dropped();
            proxy.swallow_every(stage.rng.u64(2..=15));
            let swallowed = || proxy.replies_dropped() > before;
            eventually(10 * SECOND, swallowed).await;
            proxy.swallow_every(0);
            tokio::time::sleep(time).await;
        }
        Fault::Delay => {
            proxy.delay(stage.time(10, 300));
            tokio::time::sleep(time).await;
            proxy.delay(Duration::ZERO);
        }
        Fault::Cut => {
            for _ in 0..10 {
                proxy.cut_all();
                tokio::time::sleep(time / 10).await;
            }
        }
        Fault::HalfOpen => {
            watch.blocked(true);
            proxy.half_open(true);
            tokio::time::sleep(2 * time).await;
            proxy.half_open(false);
        }
        Fault::Refuse => {
            watch.blocked(true);
            proxy.refuse(true);
            proxy.cut_all();
            tokio::time::sleep(2 * time).await;
            proxy.refuse(false);
        }
    }
}

/// The worst that was seen.
#[derive(Clone, Copy, Default)]
struct Worst {
    /// A job active without a handler that runs.
    stranded: Duration,
    /// No handler runs although jobs wait.
    idle: Duration,
}

/// Looks all the time, but for the times when there is no way through, until something has got
/// through again: for these the time of recovery is measured.
struct Watch {
    worst: Arc<Mutex<Worst>>,
    blocked: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Watch {
    fn start(queue: Queue, scene: Scene) -> Self {
        let worst = Arc::<Mutex<Worst>>::default();
        let blocked = Arc::new(AtomicBool::new(false));
        let looking = Looking {
            queue,
            scene,
            worst: Arc::clone(&worst),
            stranded_since: HashMap::new(),
            idle_since: None,
        };
        let task = tokio::spawn(looking.run(Arc::clone(&blocked)));
        Self {
            worst,
            blocked,
            task,
        }
    }

    fn blocked(&self, is: bool) {
        self.blocked.store(is, Ordering::SeqCst);
    }

    async fn stop(self) -> Worst {
        self.task.abort();
        match self.task.await {
            Err(error) if error.is_cancelled() => {}
            other => panic!("the watch ended: {other:?}"),
        }
        *self.worst.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Looking {
    queue: Queue,
    scene: Scene,
    worst: Arc<Mutex<Worst>>,
    stranded_since: HashMap<String, Instant>,
    idle_since: Option<Instant>,
}

impl Looking {
    async fn run(mut self, blocked: Arc<AtomicBool>) {
        loop {
            if blocked.load(Ordering::SeqCst) {
                self.stranded_since.clear();
                self.idle_since = None;
            } else {
                self.look().await;
            }
            tokio::time::sleep(SECOND / 50).await;
        }
    }

    async fn look(&mut self) {
        let mut stranded = ids(&self.queue, JobState::Active).await;
        let counts = self.queue.counts().await.expect("the direct way is free");
        let running = self.scene.running();
        stranded.retain(|id| !running.contains(id.as_str()));
        let stranded: HashSet<String> = stranded.iter().map(JobId::to_string).collect();
        self.stranded_since.retain(|id, _| stranded.contains(id));
        let mut worst = self.worst.lock().unwrap_or_else(PoisonError::into_inner);
        for id in stranded {
            let since = self.stranded_since.entry(id).or_insert_with(Instant::now);
            worst.stranded = worst.stranded.max(since.elapsed());
        }
        if counts.waiting > 0 && running.is_empty() {
            let since = *self.idle_since.get_or_insert_with(Instant::now);
            worst.idle = worst.idle.max(since.elapsed());
        } else {
            self.idle_since = None;
        }
    }
}
