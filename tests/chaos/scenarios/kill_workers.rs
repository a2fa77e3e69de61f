//! SIGKILL, at random: nothing is lost, and only what was under way at a kill runs again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::battery::Stage;
use crate::field::{Field, SECOND};
use crate::findings::{Findings, thousands};
use crate::load::{Load, Pace};
use crate::support::books::Run;
use crate::support::jobs::{Work, now_ms};
use crate::support::workers::WorkerProcess;
use crate::support::{Process, Server};

const LEASE: Duration = Duration::from_secs(2);
const CONCURRENCY: usize = 50;

/// One kill.
struct Kill {
    at_ms: u64,
    /// The jobs that Redis had as held by the process.
    held: HashSet<String>,
}

pub(crate) async fn run(mut stage: Stage) -> Findings {
    let jobs = stage.pick(12_000, 200_000);
    let most_kills = stage.pick(10, 200);
    let crew = stage.pick(3, 4);
    let mut findings = Findings::default();
    let mut field = Field::new(Server::options()).await;
    let settings = WorkerProcess {
        concurrency: CONCURRENCY,
        lease: LEASE,
        max_stalls: 50,
        ..WorkerProcess::of(&field.server)
    };
    let mut workers: Vec<Process> = (0..crew).map(|_| settings.spawn(&field.scene)).collect();
    let sleep = |rng: &mut fastrand::Rng| Work::Sleep {
        ms: rng.u64(5..=60),
    };
    let load = Load::start(&field.queue, &Pace::of(jobs, 200), &mut stage.rng, sleep);

    let mut kills: HashMap<u32, Kill> = HashMap::new();
    while field.books.catch_up().done() < jobs * 9 / 10 && kills.len() < most_kills {
        tokio::time::sleep(stage.time(200, 1_000)).await;
        let victim = &mut workers[stage.rng.usize(..crew)];
        let pid = victim.id();
        tokio::task::block_in_place(|| victim.kill());
        let at_ms = now_ms();
        let held = field.held_by(pid).into_iter().collect();
        kills.insert(pid, Kill { at_ms, held });
        *victim = tokio::task::block_in_place(|| settings.spawn(&field.scene));
    }
    let told = load.end().await;
    let under_way = |before: &Run, _: &Run| {
        let kill = kills.get(&before.pid);
        kill.is_some_and(|kill| kill.held.contains(&before.id))
    };
    field
        .close(&mut findings, &told, crew as u64, under_way)
        .await;

    for (_, runs) in field.books.by_job() {
        for pair in runs.windows(2) {
            if let Some(kill) = kills.get(&pair[0].pid) {
                let took = Duration::from_millis(pair[1].began_ms.saturating_sub(kill.at_ms));
                findings.recovered_after(took, LEASE + 5 * SECOND);
            }
        }
    }
    let held: usize = kills.values().map(|kill| kill.held.len()).sum();
    findings.note(format!(
        "{} jobs were in flight at the kills, {} of them ran again",
        thousands(held),
        thousands(findings.repeated)
    ));
    findings.must(findings.repeated > 0, || "no kill hit a job".to_owned());
    for worker in &mut workers {
        worker.terminate();
        let status = tokio::task::block_in_place(|| worker.wait(60 * SECOND));
        findings.must(status.success(), || format!("a worker ended with {status}"));
    }
    findings.load = format!(
        "{} jobs, {crew} processes x {CONCURRENCY}",
        thousands(told.acknowledged.len())
    );
    findings.faults = format!("{} x SIGKILL of a random worker", kills.len());
    findings
}
