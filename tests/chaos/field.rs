//! Where a scenario takes place: a server, a proxy in front of it, workers, and the ledger.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use oxcart::{Queue, WorkerBuilder};

use crate::findings::{Findings, thousands};
use crate::load::{Load, Told};
use crate::support::books::{Books, Run};
use crate::support::jobs::{Scene, now_ms};
use crate::support::workers::{Events, RunningWorker, drained, queue_at, run, watched, worker};
use crate::support::{Proxy, Server, ServerOptions};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// How long what is left may take once the faults are over.
const DRAIN: Duration = Duration::from_secs(300);
/// How long workers are watched when there is nothing to do.
const CALM: Duration = Duration::from_secs(3);
/// What each worker may send meanwhile: a pop, a look, each of its duties, and once more what the
/// server has not heard of since it was started. A worker that spins sends hundreds.
const CALM_REQUESTS: u64 = 20;

pub(crate) struct Field {
    pub(crate) server: Server,
    pub(crate) proxy: Proxy,
    /// The queue as the server has it.
    pub(crate) direct: Queue,
    /// The queue as it is seen through the proxy.
    pub(crate) queue: Queue,
    pub(crate) scene: Scene,
    pub(crate) books: Books,
    pub(crate) workers: Vec<RunningWorker>,
    pub(crate) events: Vec<Events>,
}

impl Field {
    pub(crate) async fn new(options: ServerOptions) -> Self {
        let server = options.start();
        let proxy = Proxy::start(server.tcp_addr());
        let direct = queue_at(&server.url()).await;
        let queue = queue_at(&proxy.url()).await;
        let scene = Scene::new();
        let books = Books::open(scene.path());
        Self {
            server,
            proxy,
            direct,
            queue,
            scene,
            books,
            workers: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Starts a worker in this process, behind the proxy.
    pub(crate) fn work(&mut self, set_up: impl FnOnce(WorkerBuilder) -> WorkerBuilder) {
        let (builder, events) = watched(set_up(worker(&self.queue, &self.scene)));
        self.workers.push(run(builder));
        self.events.push(events);
    }

    /// Something that blocks this thread.
    pub(crate) fn blocking<T>(&self, act: impl FnOnce(&Server) -> T) -> T {
        tokio::task::block_in_place(|| act(&self.server))
    }

    /// Waits until `reached`, looking at the ledger all the time.
    pub(crate) async fn until(
        &mut self,
        limit: Duration,
        what: &str,
        reached: impl Fn(&Books) -> bool,
    ) {
        let started = Instant::now();
        while !reached(self.books.catch_up()) {
            if started.elapsed() >= limit {
                let runs = self.books.runs();
                let last = &runs[runs.len().saturating_sub(50)..];
                panic!("not within {limit:?}: {what}; the last runs were {last:#?}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Nobody can claim a job: waits until handlers whose claims were answered have begun.
    pub(crate) async fn begun(&mut self) {
        let mut runs = None;
        while runs != Some(self.books.catch_up().runs().len()) {
            runs = Some(self.books.runs().len());
            tokio::time::sleep(SECOND / 4).await;
        }
    }

    /// How long after `since_ms` a job has begun and another one was acknowledged.
    pub(crate) async fn back_after(&mut self, since_ms: u64, load: &Load) -> Duration {
        let work = |books: &Books| books.last_began_ms() >= since_ms;
        self.until(60 * SECOND, "a job begins", work).await;
        let acknowledged = |_: &Books| load.last_ack_ms() >= since_ms;
        self.until(60 * SECOND, "a job is acknowledged", acknowledged)
            .await;
        Duration::from_millis(now_ms() - since_ms)
    }

    /// Attempts that were told that they had lost their job.
    pub(crate) fn lost_leases(&self) -> usize {
        self.events.iter().map(|one| one.lost_leases().len()).sum()
    }

    /// The jobs that Redis has as held by this process: what a kill of it leaves under way.
    pub(crate) fn held_by(&mut self, pid: u32) -> Vec<String> {
        let claims: HashMap<String, String> =
            self.blocking(|server| server.ask(&["HGETALL", "oxcart:{work}:claims"]));
        self.books.catch_up();
        // A claim begins with the first fence of the call that claimed the job.
        let is_its = |id: &str, claim: &str| {
            let since: Option<u64> = claim.split(' ').next().and_then(|word| word.parse().ok());
            let run = self.books.of(id).last().copied();
            since
                .zip(run)
                .is_some_and(|(since, run)| run.pid == pid && run.fence >= since)
        };
        let held = claims.iter().filter(|(id, claim)| is_its(id, claim));
        held.map(|(id, _)| id.clone()).collect()
    }

    /// Waits until everything is done, then judges: by the ledger, by what is left in Redis, and
    /// by how quiet the workers are when there is nothing to do.
    pub(crate) async fn close(
        &mut self,
        findings: &mut Findings,
        told: &Told,
        workers: u64,
        excused: impl Fn(&Run, &Run) -> bool,
    ) {
        let counts = drained(&self.direct, DRAIN).await;
        self.books.catch_up();
        findings.judge(&self.books, told.ids(), excused);
        findings.must(counts.dead == 0, || {
            format!("{} jobs are dead", counts.dead)
        });
        findings.must(told.wrong.is_empty(), || {
            let some = told.wrong.iter().take(3).cloned().collect::<Vec<_>>();
            format!("{} errors are not as promised: {some:?}", told.wrong.len())
        });
        if told.errors > 0 {
            findings.note(format!(
                "{} typed errors told to producers, the longest wait {:.1} s",
                thousands(told.errors),
                told.longest_wait.as_secs_f64()
            ));
        }
        let commands = |server: &Server| server.calls("evalsha") + server.calls("bzpopmin");
        let before = self.blocking(commands);
        tokio::time::sleep(CALM).await;
        let sent = self.blocking(commands) - before;
        findings.must(sent <= workers * CALM_REQUESTS, || {
            format!("{sent} commands in {CALM:?} with nothing to do: somebody spins")
        });
        for worker in self.workers.drain(..) {
            worker.stop().await;
        }
    }
}

/// Counts requests while Redis is in trouble: no process may ask all the time.
pub(crate) struct Asking {
    before: u64,
    started: Instant,
    worst: u64,
}

impl Asking {
    /// For the whole scenario; each trouble is one [`begin`](Self::begin).
    pub(crate) fn new() -> Self {
        Self {
            before: 0,
            started: Instant::now(),
            worst: 0,
        }
    }

    pub(crate) fn begin(&mut self, proxy: &Proxy) {
        self.before = proxy.requests() + proxy.connections();
        self.started = Instant::now();
    }

    pub(crate) fn end(&mut self, proxy: &Proxy) {
        let asked = proxy.requests() + proxy.connections() - self.before;
        let per_second = asked as f64 / self.started.elapsed().as_secs_f64();
        self.worst = self.worst.max(per_second as u64);
    }

    /// The most requests in a second of trouble.
    pub(crate) fn judge(&self, findings: &mut Findings, most: u64) {
        findings.note(format!(
            "{} requests and connections a second while in trouble (≤ {most})",
            self.worst
        ));
        findings.must(self.worst <= most, || "somebody spins".to_owned());
    }
}
