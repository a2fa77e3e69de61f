//! Redis is away: it comes back empty, stands still, answers late, or is replaced by a replica
//! that lags behind.

use std::collections::HashSet;
use std::time::Duration;

use crate::battery::Stage;
use crate::field::{Asking, Field, SECOND};
use crate::findings::{Findings, IDLE_MAX, thousands};
use crate::load::{Load, Pace, short};
use crate::support::books::Run;
use crate::support::jobs::{Work, now_ms};
use crate::support::workers::queue_at;
use crate::support::{Server, road};

/// Requests a second of 40 producers, who wait 50 ms after an error, and two workers.
const ASKING_MAX: u64 = 250;

/// Two workers, and producers that never stop.
async fn field_and_load(stage: &mut Stage, lease: Duration) -> (Field, Load) {
    let mut field = Field::new(Server::options()).await;
    for _ in 0..2 {
        field.work(|builder| builder.concurrency(25).lease(lease));
    }
    let load = Load::start(&field.queue, &Pace::steady(40, 10), &mut stage.rng, short);
    field.back_after(now_ms(), &load).await;
    (field, load)
}

/// What was begun before one of these moments, and again after it.
fn across(moments: &[u64]) -> impl Fn(&Run, &Run) -> bool {
    move |before, after| {
        let between = |moment: &u64| before.began_ms <= *moment && *moment <= after.began_ms;
        moments.iter().any(between)
    }
}

/// SIGKILL, and nothing on disk.
pub(crate) async fn emptied(mut stage: Stage) -> Findings {
    let restarts = stage.pick(3, 20);
    let mut findings = Findings::default();
    let (mut field, load) = field_and_load(&mut stage, 3 * SECOND).await;
    let mut asking = Asking::new();
    let (mut emptied, mut last_fences) = (Vec::new(), Vec::new());
    for _ in 0..restarts {
        tokio::time::sleep(stage.time(500, 2_000)).await;
        let away = stage.time(500, 1_500);
        asking.begin(&field.proxy);
        field.blocking(|server| {
            server.kill();
            std::thread::sleep(away);
        });
        asking.end(&field.proxy);
        last_fences.push(field.books.catch_up().last_fence());
        field.blocking(Server::restart);
        emptied.push(now_ms());
        let took = field.back_after(now_ms(), &load).await;
        findings.recovered_after(took, IDLE_MAX);
    }
    let mut told = load.stop().await;
    let all = told.acknowledged.len();
    // Jobs that Redis forgot cannot be found.
    let last = *emptied.last().expect("it was emptied");
    told.acknowledged.retain(|job| job.at_ms > last);
    field.close(&mut findings, &told, 2, across(&emptied)).await;
    fences_grew(&field, &emptied, &last_fences, &mut findings);
    asking.judge(&mut findings, ASKING_MAX);
    findings.load = format!("{} jobs, 40 callers, 2 workers", thousands(all));
    findings.faults = format!("{restarts} x Redis killed, comes back empty");
    findings
}

/// No run after one of these moments has a number from before it.
fn fences_grew(field: &Field, moments: &[u64], last_fences: &[u64], findings: &mut Findings) {
    for (moment, last) in moments.iter().zip(last_fences) {
        let mut later = field.books.runs().iter();
        let back = later.find(|run| run.began_ms > *moment && run.fence <= *last);
        findings.must(back.is_none(), || format!("a fence went back: {back:?}"));
    }
}

/// SIGSTOP for twice the lease, under long jobs.
pub(crate) async fn stopped(mut stage: Stage) -> Findings {
    const LEASE: Duration = Duration::from_secs(2);
    const LONG: usize = 10;
    let stops = stage.pick(2, 10);
    let mut findings = Findings::default();
    let (mut field, load) = field_and_load(&mut stage, LEASE).await;
    let mut asking = Asking::new();
    let mut long = Vec::new();
    for _ in 0..stops {
        let jobs = vec![Work::sleep(3 * LEASE); LONG];
        let handles = field.queue.enqueue_many(jobs).await.expect("it is there");
        long.extend(handles.iter().map(|handle| handle.id().to_string()));
        tokio::time::sleep(stage.time(500, 1_500)).await;
        field.blocking(Server::pause);
        asking.begin(&field.proxy);
        tokio::time::sleep(2 * LEASE).await;
        asking.end(&field.proxy);
        let running = field.scene.running().len();
        findings.must(running == 0, || {
            format!("{running} handlers go on without a lease")
        });
        field.blocking(Server::resume);
        let took = field.back_after(now_ms(), &load).await;
        findings.recovered_after(took, IDLE_MAX);
    }
    let told = load.stop().await;
    // A handler that was stopped says so; never do two run one job at once.
    let stopped = |before: &Run, after: &Run| {
        before.how == "dropped" && before.ended_ms.is_some_and(|ended| ended <= after.began_ms)
    };
    field.close(&mut findings, &told, 2, stopped).await;
    findings.lost += long
        .iter()
        .filter(|id| !field.books.of(id).iter().any(|run| run.is_ok()))
        .count();
    let totals = field.direct.counts().await.expect("it is there").totals;
    findings.none_disturbed(&totals);
    asking.judge(&mut findings, ASKING_MAX);
    findings.load = format!(
        "{} jobs and {} of three leases, 2 workers",
        thousands(told.acknowledged.len()),
        long.len()
    );
    findings.faults = format!("{stops} x Redis stopped for two leases");
    findings
}

/// DEBUG SLEEP: everybody is answered, some of them very late.
pub(crate) async fn asleep(mut stage: Stage) -> Findings {
    let sleeps = stage.pick(4, 25);
    let mut findings = Findings::default();
    let (mut field, load) = field_and_load(&mut stage, 30 * SECOND).await;
    let mut asking = Asking::new();
    for _ in 0..sleeps {
        tokio::time::sleep(stage.time(200, 1_500)).await;
        let sleep = stage.time(200, 4_000).as_secs_f64().to_string();
        asking.begin(&field.proxy);
        field.blocking(|server| server.cli(&["DEBUG", "SLEEP", &sleep]));
        asking.end(&field.proxy);
        let took = field.back_after(now_ms(), &load).await;
        findings.recovered_after(took, IDLE_MAX);
    }
    let told = load.stop().await;
    field.close(&mut findings, &told, 2, |_, _| false).await;
    let totals = field.direct.counts().await.expect("it is there").totals;
    findings.none_disturbed(&totals);
    findings.must(field.lost_leases() == 0, || "leases were lost".to_owned());
    asking.judge(&mut findings, ASKING_MAX);
    findings.load = format!(
        "{} jobs, 40 callers, 2 workers",
        thousands(told.acknowledged.len())
    );
    findings.faults = format!("{sleeps} x DEBUG SLEEP of 0.2 to 4 s");
    findings
}

/// A replica that has not heard everything takes over, behind the same address.
pub(crate) async fn replaced(mut stage: Stage) -> Findings {
    const LEASE: Duration = Duration::from_secs(3);
    let failovers = stage.pick(3, 15);
    let mut findings = Findings::default();
    if road::is_skipped_in_a_cluster("REPLICAOF") {
        return findings;
    }
    let (mut field, load) = field_and_load(&mut stage, LEASE).await;
    let mut lags: Vec<(u64, u64)> = Vec::new();
    let mut last_fences = Vec::new();
    for _ in 0..failovers {
        let next = Server::start();
        field.blocking(|primary| next.replica_of(primary));
        tokio::time::sleep(stage.time(0, 500)).await;
        let lag = stage.time(100, 800);
        let since = now_ms();
        field.blocking(|primary| {
            // On a busy machine a replica lags; what was acknowledged before `since` it must have.
            next.catch_up_with(primary);
            // From here on it hears nothing.
            next.cli(&["REPLICAOF", "NO", "ONE"]);
            std::thread::sleep(lag);
            primary.kill();
        });
        field.begun().await;
        last_fences.push(field.books.catch_up().last_fence());
        lags.push((since, now_ms()));
        field.proxy.redirect(next.tcp_addr());
        field.direct = queue_at(&next.url()).await;
        field.server = next;
        let took = field.back_after(now_ms(), &load).await;
        findings.recovered_after(took, IDLE_MAX);
    }
    let mut told = load.stop().await;
    let all = told.acknowledged.len();
    let lagged = |at_ms: u64| {
        let during = |(since, until): &(u64, u64)| *since <= at_ms && at_ms <= *until;
        lags.iter().any(during)
    };
    let at_risk: HashSet<String> = told
        .acknowledged
        .iter()
        .filter(|job| lagged(job.at_ms))
        .map(|job| job.id.clone())
        .collect();
    told.acknowledged.retain(|job| !at_risk.contains(&job.id));
    let moments: Vec<u64> = lags.iter().map(|(_, until)| *until).collect();
    // What the replica knew as running goes on there when its lease has run out.
    field.close(&mut findings, &told, 2, across(&moments)).await;
    fences_grew(&field, &moments, &last_fences, &mut findings);
    let gone = |id: &&String| !field.books.of(id).iter().any(|run| run.is_ok());
    findings.note(format!(
        "{} jobs were acknowledged by a primary that its replica did not hear any more: {} are \
         gone with it, which is not promised otherwise",
        thousands(at_risk.len()),
        thousands(at_risk.iter().filter(gone).count())
    ));
    findings.load = format!("{} jobs, 40 callers, 2 workers", thousands(all));
    findings.faults = format!("{failovers} x failover to a replica 0.1 to 0.8 s behind");
    findings
}
