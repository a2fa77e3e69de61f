//! Redis forgets its scripts, throws its clients out, or is full.

use oxcart::ErrorKind;

use crate::battery::Stage;
use crate::field::{Asking, Field, SECOND};
use crate::findings::{Findings, IDLE_MAX, thousands};
use crate::load::{Load, Pace, short};
use crate::support::Server;
use crate::support::jobs::{Work, now_ms};

pub(crate) async fn scripts_and_clients(mut stage: Stage) -> Findings {
    const NUISANCES: [&[&str]; 4] = [
        &["SCRIPT", "FLUSH"],
        &["CLIENT", "KILL", "TYPE", "normal"],
        &["SCRIPT", "FLUSH", "ASYNC"],
        &["FUNCTION", "FLUSH"],
    ];
    let rounds = stage.pick(60, 1_000);
    let mut findings = Findings::default();
    let mut field = Field::new(Server::options()).await;
    for _ in 0..2 {
        field.work(|builder| builder.concurrency(25));
    }
    let load = Load::start(&field.queue, &Pace::steady(40, 5), &mut stage.rng, short);
    for _ in 0..rounds {
        tokio::time::sleep(stage.time(5, 100)).await;
        let nuisance = NUISANCES[stage.rng.usize(..NUISANCES.len())];
        field.blocking(|server| server.cli(nuisance));
        // The other way to end a script's life, or a client's, does not wait for the first.
        if stage.rng.u8(0..4) == 0 {
            let took = field.back_after(now_ms(), &load).await;
            findings.recovered_after(took, IDLE_MAX);
        }
    }
    let told = load.stop().await;
    field.close(&mut findings, &told, 2, |_, _| false).await;
    let totals = field.direct.counts().await.expect("it is there").totals;
    findings.none_disturbed(&totals);
    findings.load = format!(
        "{} jobs, 40 callers, 2 workers",
        thousands(told.acknowledged.len())
    );
    findings.faults = format!("{rounds} x SCRIPT FLUSH or CLIENT KILL");
    findings
}

pub(crate) async fn full(mut stage: Stage) -> Findings {
    /// Two workers that have nothing to do. (The producers do not go through the proxy.)
    const ASKING_MAX: u64 = 10;
    let rounds = stage.pick(3, 20);
    let mut findings = Findings::default();
    let mut field = Field::new(Server::options()).await;
    for _ in 0..2 {
        field.work(|builder| builder.concurrency(25));
    }
    let load = Load::start(&field.direct, &Pace::steady(40, 5), &mut stage.rng, short);
    let mut asking = Asking::new();
    let mut refused = 0;
    for _ in 0..rounds {
        tokio::time::sleep(stage.time(300, 1_000)).await;
        // There is a backlog at that moment, and the way out of it stays open.
        let backlog = vec![Work::Sleep { ms: 20 }; 2_000];
        field
            .queue
            .enqueue_many(backlog)
            .await
            .expect("it is there");
        let used: u64 =
            field.blocking(|server| server.info("used_memory").parse().expect("a size"));
        let limit = (used / 2).to_string();
        field.blocking(|server| server.cli(&["CONFIG", "SET", "maxmemory", &limit]));
        let error = field.direct.enqueue(Work::Quick).await.err();
        let kind = error.as_ref().map(oxcart::Error::kind);
        refused += usize::from(kind == Some(ErrorKind::Refused));
        let drained = async || {
            let counts = field.direct.counts().await;
            counts.is_ok_and(|counts| counts.left() == 0)
        };
        crate::support::eventually_async(30 * SECOND, drained).await;
        asking.begin(&field.proxy);
        tokio::time::sleep(stage.time(500, 2_000)).await;
        asking.end(&field.proxy);
        field.blocking(|server| server.cli(&["CONFIG", "SET", "maxmemory", "0"]));
        let took = field.back_after(now_ms(), &load).await;
        findings.recovered_after(took, IDLE_MAX);
    }
    let told = load.stop().await;
    field.close(&mut findings, &told, 2, |_, _| false).await;
    findings.must(refused == rounds, || {
        format!("{refused} of {rounds} full servers refused as they should")
    });
    asking.judge(&mut findings, ASKING_MAX);
    findings.load = format!(
        "{} jobs, 40 callers, 2 workers",
        thousands(told.acknowledged.len() + rounds * 2_000)
    );
    findings.faults = format!("{rounds} x maxmemory reached");
    findings
}
