//! The library without any feature: it runs jobs and schedules by intervals, and says what was left out.
#![cfg(not(feature = "cron"))]

mod support;

use std::time::Duration;

use oxcart::{ErrorKind, Failure, Job, Oxcart, Worker};
use serde::{Deserialize, Serialize};
use support::{Server, eventually_async};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
struct Sweep;

impl Job for Sweep {
    const NAME: &'static str = "sweep";
    type Output = u64;
}

#[tokio::test]
async fn jobs_run_and_intervals_tick() {
    let server = Server::start();
    let queue = Oxcart::connect(&server.url()).await.unwrap();
    let queue = queue.queue("sweeps").unwrap();
    let handler = async |_: Sweep| Ok::<_, Failure>(7);
    let worker = Worker::builder(&queue).handle(handler).build().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(worker.run_until(async { drop(stopped.await) }));
    assert_eq!(queue.enqueue(Sweep).result().await.unwrap(), 7);
    let every = queue.schedule("often").every(Duration::from_millis(100));
    every.job(Sweep).await.unwrap();
    eventually_async(10 * SECOND, async || {
        queue.counts().await.unwrap().completed > 3
    })
    .await;
    drop(stop);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_needs_a_calendar_says_which_feature_has_one() {
    let server = Server::start();
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let queue = oxcart.queue("sweeps").unwrap();
    let nightly = queue.schedule("nightly").cron("0 3 * * *").timezone("UTC");
    let error = nightly.job(Sweep).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let said = error.to_string();
    assert!(said.contains("enable its feature `cron`"), "{said}");
    assert!(said.contains("`nightly`"), "{said}");
    assert!(queue.schedules().await.unwrap().is_empty());
}
