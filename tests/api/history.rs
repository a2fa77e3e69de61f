//! What is told of what happened lately.

use std::time::Duration;

use oxcart::{Failure, Job};
use serde::{Deserialize, Serialize};

use crate::rig::{Number, Rig, Running};

const HOUR: Duration = Duration::from_secs(60 * 60);
const NAP: Duration = Duration::from_millis(50);

#[derive(Serialize, Deserialize)]
struct Broken;

impl Job for Broken {
    const NAME: &'static str = "broken";
    type Output = ();
}

async fn nap(job: Number) -> Result<u32, Failure> {
    tokio::time::sleep(NAP).await;
    Ok(job.0)
}

async fn fail(_: Broken) -> Result<(), Failure> {
    Err("no way".into())
}

#[tokio::test]
async fn workers_tell_how_jobs_ended_and_how_long_they_took() {
    let rig = Rig::new().await;
    let empty = rig.queue.history(HOUR).await.unwrap();
    assert!(empty.covers.is_zero() && empty.names.is_empty() && empty.minutes.is_empty());
    assert_eq!(empty.time_to_drain(), Some(Duration::ZERO));

    rig.queue.enqueue_many((0..6).map(Number)).await.unwrap();
    let broken = rig.queue.enqueue(Broken).attempts(2);
    broken
        .backoff(oxcart::Backoff::fixed(Duration::ZERO))
        .await
        .unwrap();
    let worker = Running::start(rig.worker().handle(nap).handle(fail));
    rig.until(|counts| counts.totals.completed == 6 && counts.dead == 1)
        .await;
    // The report of a worker that stops has all that it has counted.
    worker.stop().await;

    let told = rig.queue.history(HOUR).await.unwrap();
    assert_eq!(told.counts, rig.queue.counts().await.unwrap());
    let of = |name: &str| told.names.iter().find(|of| of.name == name).unwrap();
    let (number, broken) = (of("number"), of("broken"));
    assert_eq!(told.names.len(), 2);
    assert_eq!((number.completed, number.failed()), (6, 0));
    assert_eq!((broken.completed, broken.retried, broken.dead), (0, 1, 1));
    let run = number.run.unwrap();
    assert!(
        run.p50 > NAP.mul_f64(0.9) && run.p50 <= run.p95 && run.p95 <= run.p99,
        "{run:?}"
    );
    assert!(number.wait.is_some() && broken.wait.is_some());
    assert!(told.covers < HOUR && !told.minutes.is_empty());
    assert_eq!(told.waiting, 0);
}

/// The rates come from the totals of the queue, also if no worker has counted anything.
#[tokio::test]
async fn more_jobs_that_come_than_end_are_never_drained() {
    let rig = Rig::new().await;
    let worker = Running::start(rig.worker().handle(nap));
    worker.stop().await;
    rig.queue.enqueue_many((0..100).map(Number)).await.unwrap();
    let told = rig.queue.history(Duration::from_secs(60)).await.unwrap();
    assert!(told.arrivals > 0.0 && told.departures == 0.0, "{told:?}");
    assert_eq!((told.waiting, told.time_to_drain()), (100, None));
}
