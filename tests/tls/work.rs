//! Everything works over TLS, and goes on after trouble with certificates.

use std::time::Duration;

use deadpool_redis::{Manager, Pool};
use futures::StreamExt;
use oxcart::{EventKind, Oxcart, Tls};

use crate::rig::{Rig, SECOND};
use crate::support::certificates::Authority;
use crate::support::jobs::{Scene, Work};
use crate::support::workers::{QUEUE, run, watched, worker};
use crate::support::{eventually, eventually_async};

#[tokio::test]
async fn producers_workers_results_events_and_schedules_work() {
    let rig = Rig::start();
    let oxcart = rig.connect(Tls::new().ca(rig.ca.pem())).await.unwrap();
    let queue = oxcart.queue(QUEUE).unwrap();
    let mut events = queue.events().await.unwrap();
    let scene = Scene::new();
    let running = run(worker(&queue, &scene).concurrency(10));

    queue.enqueue(Work::Quick).result().await.unwrap();
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(EventKind::Completed { .. })) {
        let event = events.next().await.unwrap();
        seen.push(event.kind);
    }
    queue.enqueue_many(vec![Work::Quick; 1_000]).await.unwrap();
    queue.enqueue(Work::Quick).delay(SECOND / 5).await.unwrap();
    let schedule = queue.schedule("often").every(SECOND).limit(1);
    schedule.job(Work::Quick).await.unwrap();
    let everything = async || queue.counts().await.unwrap().totals.completed == 1_003;
    eventually_async(20 * SECOND, everything).await;
    running.stop().await;
}

#[tokio::test]
async fn a_worker_outlives_a_certificate_that_it_does_not_trust() {
    let rig = Rig::start();
    let oxcart = rig.connect(Tls::new().ca(rig.ca.pem())).await.unwrap();
    let queue = oxcart.queue(QUEUE).unwrap();
    let scene = Scene::new();
    let (builder, events) = watched(worker(&queue, &scene));
    let running = run(builder);
    queue.enqueue(Work::Quick).result().await.unwrap();

    rig.show(&Authority::new("another CA").server(&["127.0.0.1"]));
    // What is told of first may also be that a connection broke.
    eventually(10 * SECOND, || !events.troubles().is_empty()).await;
    let error = queue.counts().await.expect_err("nobody is trusted");
    assert_eq!(error.kind(), oxcart::ErrorKind::Unsuitable, "{error:?}");
    assert!(error.to_string().contains("`Tls::ca`"), "{error}");

    rig.show(&rig.ca.server(&["127.0.0.1"]));
    let again = queue.enqueue(Work::Quick).result().within(20 * SECOND);
    again.await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_pool_of_the_application_may_be_over_tls() {
    let rig = Rig::start();
    let certificates = redis::TlsCertificates {
        client_tls: None,
        root_cert: Some(rig.ca.pem().into()),
    };
    let client = redis::Client::build_with_tls(rig.url(), certificates).unwrap();
    // Its own limits are short for a machine that is busy.
    let limits = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(5 * SECOND))
        .set_response_timeout(Some(5 * SECOND));
    let info = client.get_connection_info().clone();
    let manager = Manager::new_with_config(info, limits).unwrap();
    let pool = Pool::builder(manager).build().unwrap();
    let queue = Oxcart::with_pool(pool).await.unwrap().queue(QUEUE).unwrap();
    let scene = Scene::new();
    let running = run(worker(&queue, &scene));
    let result = queue.enqueue(Work::Quick).result();
    result.within(Duration::from_secs(10)).await.unwrap();
    running.stop().await;
}
