//! Redis dies and is started again, with every write on disk before it is acknowledged.

use crate::battery::Stage;
use crate::field::{Field, SECOND};
use crate::findings::{Findings, thousands};
use crate::load::{Load, Pace};
use crate::support::Server;
use crate::support::books::Books;
use crate::support::jobs::{Work, now_ms};
use crate::support::workers::WorkerProcess;

pub(crate) async fn run(mut stage: Stage) -> Findings {
    let kills = stage.pick(4, 30);
    let mut findings = Findings::default();
    let mut field = Field::new(Server::options().aof_always()).await;
    field.work(|builder| builder.concurrency(50));
    let held = field.queue.enqueue(Work::Hold).await.expect("it is there");
    let begun = |books: &Books| !books.runs().is_empty();
    field.until(10 * SECOND, "the job begins", begun).await;
    let settings = WorkerProcess {
        lease: 30 * SECOND,
        ..WorkerProcess::of(&field.server)
    };
    let mut process = settings.spawn(&field.scene);
    // Somebody waits for a result all the while, in a process that is there all the while.
    let waiter = tokio::spawn(held.result().within(900 * SECOND).into_future());
    let sleep = |rng: &mut fastrand::Rng| Work::Sleep {
        ms: rng.u64(0..=40),
    };
    let load = Load::start(&field.queue, &Pace::steady(40, 10), &mut stage.rng, sleep);
    for _ in 0..kills {
        tokio::time::sleep(stage.time(200, 2_000)).await;
        let away = stage.time(0, 1_500);
        field.blocking(|server| {
            server.kill();
            std::thread::sleep(away);
            server.restart();
        });
        let took = field.back_after(now_ms(), &load).await;
        findings.recovered_after(took, 6 * SECOND);
    }
    let told = load.stop().await;
    findings.must(!waiter.is_finished(), || "the waiter gave up".to_owned());
    field.scene.release(1);
    let outcome = tokio::time::timeout(30 * SECOND, waiter).await;
    findings.must(matches!(outcome, Ok(Ok(Ok(_)))), || {
        format!("who waited for a result all the while got {outcome:?}")
    });
    // Leases outlive each outage: not one job may run twice.
    field.close(&mut findings, &told, 2, |_, _| false).await;
    let totals = field.direct.counts().await.expect("it is there").totals;
    findings.none_disturbed(&totals);
    process.terminate();
    let status = tokio::task::block_in_place(|| process.wait(60 * SECOND));
    findings.must(status.success(), || format!("a worker ended with {status}"));
    findings.load = format!(
        "{} jobs, 40 callers, 2 workers",
        thousands(told.acknowledged.len())
    );
    findings.faults = format!("{kills} x SIGKILL of Redis, AOF always");
    findings
}
