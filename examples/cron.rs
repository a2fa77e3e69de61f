//! Schedules: jobs that are made again and again, by a cron expression or an interval. They live in
//! Redis beside the queue; any worker drives them, and each tick makes one job, however many
//! workers there are.
//!
//! `cargo run --example cron`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use std::time::Duration;

use oxcart::{
    CancellationToken, Context, Failure, Job, Missed, Overlap, Oxcart, Queue, Schedule,
    ScheduleInfo, Worker,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Report {
    of: String,
}

impl Job for Report {
    const NAME: &'static str = "report";
    type Output = ();
}

async fn report(job: Report, ctx: Context) -> Result<(), Failure> {
    match ctx.id().tick() {
        Some((schedule, tick)) => println!("{schedule} of {tick}: report of {}", job.of),
        None => println!("by hand: report of {}", job.of),
    }
    Ok(())
}

fn of(what: &str) -> Report {
    Report {
        of: what.to_owned(),
    }
}

/// What the code declares; every worker does, and nothing changes unless the code did. One that is
/// no longer named here is reported by the workers (`WorkerEvent::ScheduleUndeclared`), and goes on
/// until it is removed.
fn declared(reports: &Queue) -> [Schedule; 3] {
    [
        // At three in the morning; if no worker ran then, once when a worker runs again.
        reports
            .schedule("nightly")
            .cron("0 3 * * *")
            .timezone("Europe/Berlin")
            .missed(Missed::FireOnce)
            .job(of("yesterday")),
        // With six fields the first is the second.
        reports
            .schedule("every-second")
            .cron("* * * * * *")
            .overlap(Overlap::Skip)
            .job(of("the last second")),
        reports
            .schedule("pulse")
            .every(Duration::from_millis(500))
            .limit(4)
            .job(reports.enqueue(of("the pulse")).attempts(1).priority(10)),
    ]
}

fn show(info: &ScheduleInfo) {
    let next = match info.next_tick {
        Some(tick) => format!("next at {tick}"),
        None if info.paused => "paused".to_owned(),
        None => "ended".to_owned(),
    };
    println!(
        "  {}: {} fired, {} missed, {next}",
        info.name, info.fired, info.missed
    );
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-cron")
        .connect(&url)
        .await?;
    let reports = oxcart.queue("reports")?;
    // What an earlier run has left, if it was stopped half way.
    for old in reports.schedules().await? {
        reports.schedule(old.name).remove().await?;
    }

    // Two workers, and still one job a tick.
    let stop = CancellationToken::new();
    let mut running = Vec::new();
    for _ in 0..2 {
        let worker = Worker::builder(&reports)
            .handle(report)
            .schedules(declared(&reports))
            .build()?;
        running.push(tokio::spawn(
            worker.run_until(stop.clone().cancelled_owned()),
        ));
    }
    tokio::time::sleep(Duration::from_millis(3_500)).await;

    println!("nobody waits for three in the morning:");
    let id = reports.schedule("nightly").trigger().await?;
    reports.handle::<Report>(id).result().await?;

    reports.schedule("every-second").pause().await?;
    println!("the schedules:");
    for info in reports.schedules().await? {
        show(&info);
    }

    // What is wrong is said before anything is stored.
    let wrong = reports.schedule("wrong").cron("0 0 25 * * *");
    if let Err(error) = wrong.job(of("nothing")).await {
        println!("{error}");
    }
    stop.cancel();
    for worker in running {
        worker.await??;
    }
    // Schedules stay when the workers have gone: a removal is always said, and it is said after the
    // last worker that would declare them again.
    for info in reports.schedules().await? {
        reports.schedule(info.name).remove().await?;
    }
    Ok(())
}
