//! A deploy, again and again: each worker is asked to stop (SIGTERM) and replaced, under load.

use crate::battery::Stage;
use crate::field::{Field, SECOND};
use crate::findings::{Findings, thousands};
use crate::load::{Load, Pace};
use crate::support::books::Books;
use crate::support::jobs::{Work, now_ms};
use crate::support::workers::WorkerProcess;
use crate::support::{Process, Server};

const CREW: usize = 3;

pub(crate) async fn run(mut stage: Stage) -> Findings {
    let restarts = stage.pick(4, 20);
    let mut findings = Findings::default();
    let mut field = Field::new(Server::options()).await;
    let settings = WorkerProcess {
        concurrency: 50,
        grace: 10 * SECOND,
        // No lease is at stake here: on a machine that stands still for a second, a short one is.
        lease: 10 * SECOND,
        ..WorkerProcess::of(&field.server)
    };
    let mut workers: Vec<Process> = (0..CREW).map(|_| settings.spawn(&field.scene)).collect();
    let sleep = |rng: &mut fastrand::Rng| Work::Sleep {
        ms: rng.u64(0..=300),
    };
    let load = Load::start(&field.queue, &Pace::steady(100, 50), &mut stage.rng, sleep);
    for _ in 0..restarts {
        tokio::time::sleep(stage.time(100, 1_500)).await;
        let victim = &mut workers[stage.rng.usize(..CREW)];
        let pid = victim.id();
        let at_work = |books: &Books| books.begun_by(pid) > 0;
        field.until(30 * SECOND, "the worker begins", at_work).await;
        // The successor first, as a deploy does it.
        let successor = tokio::task::block_in_place(|| settings.spawn(&field.scene));
        let mut old = std::mem::replace(victim, successor);
        let asked_ms = now_ms();
        old.terminate();
        let status = tokio::task::block_in_place(|| old.wait(30 * SECOND));
        findings.must(status.success(), || format!("a worker ended with {status}"));
        let took = field.back_after(asked_ms, &load).await;
        findings.recovered_after(took, 6 * SECOND);
    }
    let told = load.stop().await;
    field
        .close(&mut findings, &told, CREW as u64, |_, _| false)
        .await;
    let totals = field.direct.counts().await.expect("it is there").totals;
    findings.none_disturbed(&totals);
    findings.load = format!(
        "{} jobs of 0 to 300 ms, {CREW} processes x 50",
        thousands(told.acknowledged.len())
    );
    findings.faults = format!("{restarts} x SIGTERM, grace 10 s");
    findings
}
