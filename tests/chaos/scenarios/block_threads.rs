//! Handlers that compute, or call what blocks: each holds a thread of its worker's runtime for
//! seconds. What else runs there goes on.

use std::time::Duration;

use crate::battery::Stage;
use crate::field::{Field, SECOND};
use crate::findings::{Findings, thousands};
use crate::load::{Load, Pace, short};
use crate::support::books::Books;
use crate::support::jobs::Work;
use crate::support::workers::{WORKER_THREADS, WorkerProcess};
use crate::support::{Process, Server};

const CREW: usize = 2;
/// Until the next job begins, and one ends, in a process with a blocked thread.
const GOES_ON_WITHIN: Duration = SECOND;

pub(crate) async fn run(mut stage: Stage) -> Findings {
    let rounds = stage.pick(4, 40);
    let mut findings = Findings::default();
    let mut field = Field::new(Server::options()).await;
    let settings = WorkerProcess {
        concurrency: 30,
        // Shorter than a handler blocks; and no lease is at stake on a machine that stands still.
        lease: 3 * SECOND,
        ..WorkerProcess::of(&field.server)
    };
    let _crew: Vec<Process> = (0..CREW).map(|_| settings.spawn(&field.scene)).collect();
    let load = Load::start(&field.queue, &Pace::steady(40, 50), &mut stage.rng, short);
    let mut blockers = 0;
    for _ in 0..rounds {
        let block = |time: Duration| Work::Block {
            ms: time.as_millis() as u64,
        };
        let one = field.queue.enqueue(block(stage.time(2_000, 5_000))).await;
        let id = one.expect("it is there").id().to_string();
        let ended = |books: &Books| books.of(&id).first().is_some_and(|run| run.is_ok());
        field.until(60 * SECOND, "the blocker ends", ended).await;
        findings.recovered_after(beside(&field.books, &id), GOES_ON_WITHIN);
        blockers += 1;
        // Now all threads of all processes, or nearly.
        let many = vec![block(stage.time(500, 3_000)); CREW * WORKER_THREADS];
        let many = field.queue.enqueue_many(many).await.expect("it is there");
        for one in &many {
            let ended = |books: &Books| books.of(one.id().as_str()).iter().any(|run| run.is_ok());
            field.until(60 * SECOND, "a blocker ends", ended).await;
        }
        blockers += many.len();
    }
    let told = load.stop().await;
    field
        .close(&mut findings, &told, CREW as u64, |_, _| false)
        .await;
    let totals = field.direct.counts().await.expect("it is there").totals;
    findings.none_disturbed(&totals);
    findings.load = format!(
        "{} jobs, {CREW} processes x 30 on {WORKER_THREADS} threads",
        thousands(told.acknowledged.len())
    );
    findings.faults = format!("{blockers} x a thread blocked for 0.5 to 5 s");
    findings
}

/// How long after the blocker a job began in its process and ended well, while it blocked.
fn beside(books: &Books, blocker: &str) -> Duration {
    let blocker = books.of(blocker)[0];
    let ended_ms = blocker.ended_ms.expect("it has ended");
    let later = books.runs().iter().filter(|run| {
        run.pid == blocker.pid && run.began_ms > blocker.began_ms && run.ended_ms < Some(ended_ms)
    });
    let first = later.filter_map(|run| run.ended_ms).min();
    Duration::from_millis(first.unwrap_or(ended_ms) - blocker.began_ms)
}
