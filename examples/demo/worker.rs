//! A worker process: what a deployment would run many of.

use std::io::{Read, Write};
use std::time::Duration;

use oxcart::{Job, Oxcart, QueueSettings, Worker, WorkerEvent};

use crate::job::{MeasureFile, WorkerName, measure_file};

pub(crate) const CONCURRENCY: usize = 32;
/// How long the jobs of a dead worker stay its own. The default is 30 s; nobody wants to watch
/// that.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

pub(crate) async fn run(name: &str, url: &str) -> anyhow::Result<()> {
    end_with_parent();
    let files = Oxcart::connect(url).await?.queue(MeasureFile::QUEUE)?;
    Worker::builder(&files)
        .concurrency(CONCURRENCY)
        .lease(LEASE)
        // The default keeps the last 1,000; here every result is compared at the end.
        .queue_settings(QueueSettings::new().keep_at_most(10_000_000))
        .state(WorkerName(name.to_owned()))
        .handle(measure_file)
        .on_event(tell_parent)
        .build()?
        .run_until(oxcart::shutdown_signal())
        .await?;
    Ok(())
}

/// Nothing is ever written to a worker's input; it closes when the demo has died.
fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}

/// One line per beginning and end of an attempt, so that the demo knows when to strike.
fn tell_parent(event: &WorkerEvent) {
    let (sign, attempt) = match event {
        WorkerEvent::Started(attempt) => ('+', attempt),
        WorkerEvent::Ended { attempt, .. } => ('-', attempt),
        _ => return,
    };
    let _ = writeln!(std::io::stdout(), "{sign}{}", attempt.id);
}
