//! Leases that run out although no worker died: Redis refuses writes, its clock jumps, or it is far away.

use std::time::Duration;

use crate::battery::Stage;
use crate::field::{Asking, Field, SECOND};
use crate::findings::{Findings, IDLE_MAX, thousands};
use crate::load::{Load, Pace, short};
use crate::support::books::Run;
use crate::support::jobs::{Work, now_ms};
use crate::support::workers::looked_after;
use crate::support::{Server, ServerOptions};

const LEASE: Duration = Duration::from_secs(2);
/// Jobs of three leases, beside the others.
const LONG: usize = 50;
const CALLERS: usize = 20;
/// Requests a second of the producers, who wait 50 ms after an error, of two workers, and of those
/// who keep their leases.
const ASKING_MAX: u64 = 250;

/// Two workers that have looked after the queue for a while, and producers that never stop.
async fn field_and_load(stage: &mut Stage, options: ServerOptions) -> (Field, Load) {
    let mut field = Field::new(options).await;
    for _ in 0..2 {
        field.work(|builder| builder.concurrency(LONG).lease(LEASE));
    }
    let pace = Pace::steady(CALLERS, 10);
    let load = Load::start(&field.queue, &pace, &mut stage.rng, short);
    field.back_after(now_ms(), &load).await;
    looked_after(&field.server).await;
    (field, load)
}

async fn begin_long_jobs(field: &Field, long: &mut Vec<String>) {
    let jobs = vec![Work::sleep(3 * LEASE); LONG];
    let handles = field.direct.enqueue_many(jobs).await.expect("it is there");
    long.extend(handles.iter().map(|handle| handle.id().to_string()));
    tokio::time::sleep(SECOND).await;
}

/// Everything is done, and no job of a living worker was taken for a job of a dead worker.
async fn judge(mut field: Field, load: Load, long: &[String], findings: &mut Findings) {
    let told = load.stop().await;
    // A handler that was stopped says so; never do two run one job at once.
    let stopped = |before: &Run, after: &Run| {
        before.how == "dropped" && before.ended_ms.is_some_and(|ended| ended <= after.began_ms)
    };
    field.close(findings, &told, 2, stopped).await;
    let done = |id: &&String| field.books.of(id).iter().any(|run| run.is_ok());
    findings.lost += long.iter().filter(|id| !done(id)).count();
    let totals = field.direct.counts().await.expect("it is there").totals;
    findings.none_disturbed(&totals);
    findings.load = format!(
        "{} jobs and {} of three leases, {CALLERS} callers, 2 workers",
        thousands(told.acknowledged.len()),
        long.len()
    );
}

/// `NOREPLICAS`, for more than a lease.
pub(crate) async fn refusing(mut stage: Stage) -> Findings {
    let rounds = stage.pick(2, 10);
    let mut findings = Findings::default();
    let (mut field, load) = field_and_load(&mut stage, Server::options()).await;
    let mut asking = Asking::new();
    let mut long = Vec::new();
    for round in 0..rounds {
        begin_long_jobs(&field, &mut long).await;
        let writes = |replicas| {
            move |server: &Server| {
                server.cli(&["CONFIG", "SET", "min-replicas-to-write", replicas]);
            }
        };
        field.blocking(writes("1"));
        asking.begin(&field.proxy);
        // Shorter and longer than anybody's pause between two looks.
        tokio::time::sleep(if round % 2 == 0 { 2 * LEASE } else { 6 * LEASE }).await;
        asking.end(&field.proxy);
        field.blocking(writes("0"));
        let took = field.back_after(now_ms(), &load).await;
        findings.recovered_after(took, IDLE_MAX);
    }
    judge(field, load, &long, &mut findings).await;
    asking.judge(&mut findings, ASKING_MAX);
    findings.faults = format!("{rounds} x NOREPLICAS for two and six leases");
    findings
}

/// The server's clock is set forward and back.
pub(crate) async fn stepped(mut stage: Stage) -> Findings {
    #[cfg(not(target_os = "linux"))]
    {
        let mut findings = Findings::default();
        findings.load = "not on this system: it needs LD_PRELOAD".to_owned();
        return findings;
    }
    #[cfg(target_os = "linux")]
    {
        const STEPS_MS: [i64; 7] = [
            900,
            900,
            5_000,
            -5_000,
            2 * 86_400_000,
            -3_600_000,
            3_600_000,
        ];
        let steps = stage.pick(20, 200);
        let clock = crate::support::SteppedClock::new();
        let mut findings = Findings::default();
        let (mut field, load) = field_and_load(&mut stage, clock.options()).await;
        let mut long = Vec::new();
        for step in 0..steps {
            if step % 8 == 0 {
                begin_long_jobs(&field, &mut long).await;
            }
            clock.step(STEPS_MS[stage.rng.usize(..STEPS_MS.len())]);
            tokio::time::sleep(stage.time(100, 2_000)).await;
            let took = field.back_after(now_ms(), &load).await;
            findings.recovered_after(took, IDLE_MAX);
        }
        judge(field, load, &long, &mut findings).await;
        findings.faults = format!("{steps} x the server's clock stepped, by 0.9 s to two days");
        findings
    }
}

/// Thousands of leases, a long way from Redis.
pub(crate) async fn far(stage: Stage) -> Findings {
    // Longer than a process may stand still on a busy machine that runs a debug build.
    let lease = stage.pick(2 * SECOND, SECOND);
    let jobs = stage.pick(2_000, 5_000);
    let rounds = stage.pick(2, 5);
    let mut findings = Findings::default();
    let mut field = Field::new(Server::options()).await;
    // As with 20 ms each way.
    field.proxy.delay(Duration::from_millis(40));
    field.work(|builder| builder.concurrency(jobs).lease(lease));
    for _ in 0..rounds {
        let batch = vec![Work::sleep(2 * lease); jobs];
        field.direct.enqueue_many(batch).await.expect("it is there");
    }
    let all = rounds * jobs;
    let done = move |books: &crate::support::books::Books| {
        books.runs().iter().filter(|run| run.is_ok()).count() >= all
    };
    field.until(100 * SECOND, "all is done", done).await;
    let told = crate::load::Told::default();
    field.close(&mut findings, &told, 1, |_, _| false).await;
    let totals = field.direct.counts().await.expect("it is there").totals;
    findings.none_disturbed(&totals);
    let lost = field.lost_leases();
    findings.must(lost == 0, || format!("{lost} leases were lost"));
    findings.load = format!("{} jobs of two leases, 1 worker x {jobs}", thousands(all));
    findings.faults = format!("replies 40 ms late, leases of {} s", lease.as_secs());
    findings
}
