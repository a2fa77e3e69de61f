//! A line that takes few bytes a second, and a Redis far away: neither is a broken one.

use std::time::Duration;

use oxcart::{QueueSettings, Retention};

use crate::battery::Stage;
use crate::field::{Field, SECOND};
use crate::findings::{Findings, IDLE_MAX, thousands};
use crate::load::{Load, Pace};
use crate::support::Server;
use crate::support::jobs::{Work, now_ms};

/// How long the first answers may take on the slowest line, and one cut in the middle of them.
const SLOW_MAX: Duration = Duration::from_secs(12);
const EACH_WAY: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(100)];
/// Bytes a second.
const RATES: [u64; 3] = [1_000_000, 500_000, 250_000];

/// Mostly small jobs, and some of up to 100 KiB.
fn mixed(rng: &mut fastrand::Rng) -> Work {
    match rng.u32(0..10) {
        0 => Work::carry(rng.usize(1_000..100 * 1024)),
        1..=3 => Work::carry(rng.usize(100..10_000)),
        _ => Work::Sleep {
            ms: rng.u64(0..=40),
        },
    }
}

/// The line becomes slow, and now and then a connection breaks on it.
pub(crate) async fn slow(mut stage: Stage) -> Findings {
    let rounds = stage.pick(3, 30);
    let mut findings = Findings::default();
    let mut field = Field::new(Server::options()).await;
    field.work(|builder| {
        builder
            .concurrency(50)
            .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing))
    });
    let load = Load::start(&field.queue, &Pace::steady(20, 20), &mut stage.rng, mixed);
    field.proxy.distance(EACH_WAY[0]);
    for round in 0..rounds {
        field.proxy.bytes_per_second(RATES[round % RATES.len()]);
        tokio::time::sleep(stage.time(1_000, 2_000)).await;
        field.proxy.cut_all();
        let took = field.back_after(now_ms(), &load).await;
        findings.recovered_after(took, SLOW_MAX);
    }
    field.proxy.bytes_per_second(0);
    field.proxy.distance(Duration::ZERO);
    let told = load.stop().await;
    field.close(&mut findings, &told, 1, |_, _| false).await;
    judge(&field, told.acknowledged.len(), &mut findings).await;
    findings.load = format!(
        "{} jobs of up to 100 KiB, 20 callers, 1 worker x 50",
        thousands(told.acknowledged.len())
    );
    findings.faults = format!("{rounds} x a line of 250 kB to 1 MB a second, and a cut on it");
    findings
}

/// Redis is far away, and now and then all connections break.
pub(crate) async fn far(mut stage: Stage) -> Findings {
    let rounds = stage.pick(4, 20);
    let mut findings = Findings::default();
    let mut field = Field::new(Server::options()).await;
    field.work(|builder| {
        builder
            .concurrency(200)
            .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing))
    });
    let load = Load::start(&field.queue, &Pace::steady(50, 5), &mut stage.rng, |_| {
        Work::Report
    });
    for round in 0..rounds {
        field.proxy.distance(EACH_WAY[round % EACH_WAY.len()]);
        tokio::time::sleep(SECOND).await;
        if round % 4 > 1 {
            field.proxy.cut_all();
        }
        let took = field.back_after(now_ms(), &load).await;
        findings.recovered_after(took, IDLE_MAX);
    }
    field.proxy.distance(Duration::ZERO);
    let told = load.stop().await;
    field
        .close(&mut findings, &told, 1, |earlier, _| earlier.how != "ok")
        .await;
    judge(&field, told.acknowledged.len(), &mut findings).await;
    findings.load = format!(
        "{} jobs that report progress, 50 callers, 1 worker x 200",
        thousands(told.acknowledged.len())
    );
    findings.faults =
        format!("{rounds} x 20 or 100 ms each way, every connection cut in half of them");
    findings
}

async fn judge(field: &Field, acknowledged: usize, findings: &mut Findings) {
    let totals = field.direct.counts().await.expect("it is there").totals;
    findings.must(totals.added as usize == acknowledged, || {
        format!("{} jobs were enqueued for {acknowledged}", totals.added)
    });
    findings.none_disturbed(&totals);
    findings.must(field.lost_leases() == 0, || "leases were lost".to_owned());
}
