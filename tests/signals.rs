//! Signals that stop workers one after the other, in one process. They are for the whole process, so there is one test.

#![cfg(unix)]

use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use oxcart::{Context, Failure, Job, Oxcart, Worker, WorkerEvent};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

const WORK: Duration = Duration::from_millis(300);

#[derive(Serialize, Deserialize)]
struct Slow {}

impl Job for Slow {
    const NAME: &'static str = "slow";
    /// Whether it was not told to stop.
    type Output = bool;
}

async fn slow(_: Slow, context: Context) -> Result<bool, Failure> {
    tokio::select! {
        () = tokio::time::sleep(WORK) => Ok(true),
        () = context.cancellation().cancelled() => Ok(false),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_the_first_signal_for_a_worker_is_not_the_second_one_of_a_worker_before_it() {
    let queue = Oxcart::in_memory().queue("work").unwrap();
    for _ in 0..8 {
        let (tells, mut begun) = mpsc::unbounded_channel();
        let worker = Worker::builder(&queue).handle(slow).on_event(move |event| {
            if let WorkerEvent::Started(_) = event {
                let _ = tells.send(());
            }
        });
        let running = worker.build().unwrap().run_until(oxcart::shutdown_signal());
        let running = tokio::spawn(running);
        let sent = queue.enqueue(Slow {}).await.unwrap();
        begun.recv().await.unwrap();
        raise(Signal::SIGTERM).unwrap();
        running.await.unwrap().unwrap();
        assert!(sent.result().await.unwrap(), "it has the grace period");
    }
}
