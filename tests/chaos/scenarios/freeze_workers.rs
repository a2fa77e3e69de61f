//! SIGSTOP for longer than the lease, then SIGCONT: what a zombie says is refused, and its
//! handlers are cancelled within a second.

use std::collections::HashSet;
use std::time::Duration;

use futures::StreamExt;
use oxcart::{JobId, Queue};

use crate::battery::Stage;
use crate::field::{Field, SECOND};
use crate::findings::{Findings, thousands};
use crate::load::{Load, Pace};
use crate::support::books::{Books, Run};
use crate::support::jobs::{Work, now_ms};
use crate::support::workers::{WorkerProcess, looked_after, run as run_worker, worker};
use crate::support::{Process, Server};

const LEASE: Duration = Duration::from_secs(1);
const ZOMBIES: usize = 20;
/// How often a random worker is frozen under load, in either form.
const RANDOM_SHORT: usize = 4;
const RANDOM_FULL: usize = 40;
/// How long a handler may go on after its process has woken up.
const CANCELLED_WITHIN: Duration = Duration::from_secs(1);

pub(crate) async fn run(mut stage: Stage) -> Findings {
    let rounds = stage.pick(2, 20);
    let mut findings = Findings::default();
    let mut field = Field::new(Server::options()).await;
    let mut frozen = HashSet::new();
    let mut slowest = Duration::ZERO;
    let mut zombies = 0;
    for _ in 0..rounds {
        let (pid, frozen_at_work) =
            wake_among_the_dead(&mut stage, &mut field, &mut findings, &mut slowest).await;
        frozen.insert(pid);
        zombies += frozen_at_work;
        let refused = field.direct.counts().await.expect("it is there");
        let refused = refused.totals.refused as usize;
        findings.must(refused >= zombies, || {
            format!("{refused} outcomes of {zombies} zombies were refused")
        });
    }
    findings.must(zombies * 2 >= rounds * ZOMBIES, || {
        format!("only {zombies} handlers were frozen at work")
    });
    findings.note(format!(
        "{zombies} zombies tried to settle and were refused; cancelled {} ms after waking at most",
        slowest.as_millis()
    ));
    let jobs = freeze_at_random(&mut stage, &mut field, &mut findings, &mut frozen).await;
    findings.load = format!("{} jobs, 3 processes", thousands(jobs + rounds * ZOMBIES));
    let random = stage.pick(RANDOM_SHORT, RANDOM_FULL);
    findings.faults = format!("{} x SIGSTOP, then SIGCONT", rounds + random);
    findings
}

/// One process is frozen while its handlers run, another one does its jobs; then it wakes up. Says which
/// process it was, and how many handlers were frozen at work: on a machine that is too busy to renew a
/// lease of a second, some were cancelled before.
async fn wake_among_the_dead(
    stage: &mut Stage,
    field: &mut Field,
    findings: &mut Findings,
    slowest: &mut Duration,
) -> (u32, usize) {
    let settings = WorkerProcess {
        concurrency: ZOMBIES,
        lease: LEASE,
        ..WorkerProcess::of(&field.server)
    };
    let mut process = settings.spawn(&field.scene);
    let pid = process.id();
    let zombies = vec![Work::Zombie { reports: false }; ZOMBIES];
    let zombies = field
        .queue
        .enqueue_many(zombies)
        .await
        .expect("it is there");
    let all_begun = |books: &Books| books.begun_by(pid) == ZOMBIES;
    field
        .until(30 * SECOND, "the zombies begin", all_begun)
        .await;
    let living = run_worker(worker(&field.queue, &field.scene).lease(LEASE));
    // No worker judges leases of a queue that no worker has looked after yet.
    looked_after(&field.server).await;

    tokio::time::sleep(stage.time(0, 500)).await;
    let frozen_ms = now_ms();
    process.pause();
    let books = field.books.catch_up();
    let mut ids: Vec<&str> = zombies.iter().map(|handle| handle.id().as_str()).collect();
    ids.retain(|id| books.of(id).iter().all(|run| run.ended_ms.is_none()));
    let taken_over = |books: &Books| {
        ids.iter()
            .all(|id| books.of(id).len() == 2 && books.of(id)[1].is_ok())
    };
    field
        .until(60 * SECOND, "the living take over", taken_over)
        .await;
    tokio::time::sleep(stage.time(0, 2_000)).await;

    let woken_ms = now_ms();
    process.resume();
    let all_ended = |books: &Books| ids.iter().all(|id| books.of(id)[0].ended_ms.is_some());
    field.until(30 * SECOND, "the zombies end", all_ended).await;
    for id in &ids {
        let runs = field.books.of(id);
        let ended_ms = runs[0].ended_ms.expect("just seen");
        let took = Duration::from_millis(ended_ms.saturating_sub(woken_ms));
        *slowest = (*slowest).max(took);
        findings.must(took <= CANCELLED_WITHIN, || {
            format!("{:?} went on for {took:?} after it woke up", runs[0])
        });
        let recovered = Duration::from_millis(runs[1].began_ms.saturating_sub(frozen_ms));
        findings.recovered_after(recovered, LEASE + 5 * SECOND);
        findings.must(runs.len() == 2, || format!("ran {} times", runs.len()));
    }
    // A worker stores, or is refused, everything before it ends.
    process.terminate();
    let status = tokio::task::block_in_place(|| process.wait(30 * SECOND));
    findings.must(status.success(), || {
        format!("the zombie ended with {status}")
    });
    assert_last_run_won(
        &field.direct,
        field.books.runs().iter().map(|run| &run.id),
        field,
        findings,
    )
    .await;
    living.stop().await;
    (pid, ids.len())
}

/// Workers are frozen at any moment, for less and for more than their lease.
async fn freeze_at_random(
    stage: &mut Stage,
    field: &mut Field,
    findings: &mut Findings,
    frozen: &mut HashSet<u32>,
) -> usize {
    let freezes = stage.pick(RANDOM_SHORT, RANDOM_FULL);
    let settings = WorkerProcess {
        concurrency: 20,
        lease: LEASE,
        max_stalls: 50,
        keep_at_most: 1_000_000,
        ..WorkerProcess::of(&field.server)
    };
    let mut workers: Vec<Process> = (0..3).map(|_| settings.spawn(&field.scene)).collect();
    let sleep = |rng: &mut fastrand::Rng| Work::Sleep {
        ms: rng.u64(0..=100),
    };
    let load = Load::start(&field.queue, &Pace::steady(10, 20), &mut stage.rng, sleep);
    let pids = |workers: &[Process]| workers.iter().map(Process::id).collect::<Vec<_>>();
    for pid in pids(&workers) {
        let at_work = |books: &Books| books.begun_by(pid) > 0;
        field
            .until(30 * SECOND, "every worker begins", at_work)
            .await;
    }
    for _ in 0..freezes {
        let victim = &mut workers[stage.rng.usize(..3)];
        frozen.insert(victim.id());
        victim.pause();
        tokio::time::sleep(stage.time(300, 3_000)).await;
        victim.resume();
        tokio::time::sleep(stage.time(0, 1_000)).await;
    }
    let told = load.stop().await;
    let before = |run: &Run| frozen.contains(&run.pid);
    field
        .close(findings, &told, 3, |first, _| before(first))
        .await;
    let repeated: Vec<String> = field
        .books
        .by_job()
        .filter(|(_, runs)| runs.len() > 1)
        .map(|(id, _)| id.to_owned())
        .collect();
    assert_last_run_won(&field.direct, repeated.iter(), field, findings).await;
    for worker in &mut workers {
        worker.terminate();
        let status = tokio::task::block_in_place(|| worker.wait(30 * SECOND));
        findings.must(status.success(), || format!("a worker ended with {status}"));
    }
    told.acknowledged.len()
}

/// What Redis has as the outcome comes from the run that began last.
async fn assert_last_run_won(
    queue: &Queue,
    ids: impl Iterator<Item = &String>,
    field: &Field,
    findings: &mut Findings,
) {
    let ids: HashSet<&String> = ids.collect();
    let ask = |id: &String| {
        let handle = queue.handle::<Work>(JobId::new(id).expect("an id"));
        async move { (handle.id().to_string(), handle.result().await) }
    };
    let mut answers = futures::stream::iter(ids.into_iter().map(ask)).buffer_unordered(16);
    while let Some((id, outcome)) = answers.next().await {
        let fence = outcome.as_ref().map(|done| done.fence).ok();
        let last = field.books.of(&id).last().map(|run| run.fence);
        findings.must(fence == last, || {
            format!("job {id}: {outcome:?} is stored, the last run is {last:?}")
        });
    }
}
