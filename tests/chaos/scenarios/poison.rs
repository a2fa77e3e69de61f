//! Jobs that take their process down, among many that do not: each of them ends as a dead letter
//! within its allowance, and makes no other job dead.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use oxcart::{DeadReason, Ended, JobState};

use crate::battery::Stage;
use crate::field::{Field, SECOND};
use crate::findings::{Findings, thousands};
use crate::support::jobs::Work;
use crate::support::workers::WorkerProcess;
use crate::support::{self, Process, Server};

/// A machine that stands still for so long makes every job that runs a suspect.
const LEASE: Duration = Duration::from_secs(3);
const MAX_STALLS: u32 = 4;
const CREW: usize = 3;

pub(crate) async fn run(mut stage: Stage) -> Findings {
    let good = stage.pick(4_000, 100_000);
    let poisonous = stage.pick(2, 20);
    let mut findings = Findings::default();
    let mut field = Field::new(Server::options()).await;
    // A poisonous job stands anywhere among the good ones, each tenth of which is slow.
    let rng = &mut stage.rng;
    let mut jobs: Vec<Work> = (0..good)
        .map(|_| match rng.u8(0..10) {
            0 => Work::Sleep {
                ms: rng.u64(150..=400),
            },
            _ => Work::Sleep {
                ms: rng.u64(0..=30),
            },
        })
        .collect();
    let mut places = HashSet::new();
    while places.len() < poisonous {
        places.insert(rng.usize(..jobs.len()));
    }
    for place in &places {
        jobs[*place] = Work::Abort {
            after_ms: rng.u64(0..=100),
        };
    }
    let good = good - poisonous;
    let handles = field.queue.enqueue_many(jobs).await.expect("it is there");
    let poison: HashSet<String> = places
        .iter()
        .map(|place| handles[*place].id().to_string())
        .collect();

    let settings = WorkerProcess {
        concurrency: 50,
        lease: LEASE,
        max_stalls: MAX_STALLS,
        ..WorkerProcess::of(&field.server)
    };
    let mut workers: Vec<Process> = (0..CREW).map(|_| settings.spawn(&field.scene)).collect();
    let mut deaths = 0;
    let started = Instant::now();
    loop {
        for worker in &mut workers {
            if !worker.is_running() {
                deaths += 1;
                *worker = tokio::task::block_in_place(|| settings.spawn(&field.scene));
            }
        }
        if field.direct.counts().await.expect("it is there").left() == 0 {
            break;
        }
        assert!(
            started.elapsed() < 600 * SECOND,
            "it does not come to an end"
        );
        tokio::time::sleep(SECOND / 20).await;
    }

    field.books.catch_up();
    let ids = || handles.iter().map(|handle| handle.id().as_str());
    findings.judge(
        &field.books,
        ids().filter(|id| !poison.contains(*id)),
        // Its process died before it could say how the run had ended.
        |before, _| !workers.iter().any(|worker| worker.id() == before.pid),
    );
    let dead = support::ids(&field.direct, JobState::Dead).await;
    let dead: HashSet<String> = dead.iter().map(ToString::to_string).collect();
    findings.must(dead == poison, || {
        let innocent = dead.difference(&poison).count();
        let survivors = poison.difference(&dead).count();
        format!("{innocent} good jobs are dead, {survivors} poisonous ones are not")
    });
    let allowance = MAX_STALLS as usize + 1;
    for handle in handles
        .iter()
        .filter(|handle| poison.contains(handle.id().as_str()))
    {
        let runs = field.books.of(handle.id().as_str()).len();
        findings.must(runs <= allowance, || {
            format!("a poisonous job ran {runs} times")
        });
        let info = handle.info().await.expect("it is there").expect("kept");
        findings.must(
            matches!(info.ended, Some(Ended::Dead(DeadReason::Poisoned))),
            || format!("{:?}", info.ended),
        );
    }
    findings.must(deaths >= allowance, || {
        format!("only {deaths} processes died")
    });
    let most = field.books.by_job().filter(|(id, _)| !poison.contains(*id));
    let most = most.map(|(_, runs)| runs.len()).max().unwrap_or(0);
    findings.note(format!("a good job ran {most} times at most"));
    for worker in &mut workers {
        worker.terminate();
        tokio::task::block_in_place(|| worker.wait(60 * SECOND));
    }
    findings.load = format!(
        "{} good jobs and {poisonous} poisonous ones, {CREW} processes x 50",
        thousands(good)
    );
    findings.faults = format!("{deaths} x abort() in a handler");
    findings
}
