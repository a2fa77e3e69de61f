//! A worker that died is noticed.

use std::time::Duration;

use oxcart::{Context, Failure, Oxcart, Worker};
use oxcart_dashboard::{Access, Dashboard, Role};
use serde_json::Value;

use crate::rig::{ADMIN, PATIENCE, Program, Send};
use crate::support::eventually_async;

async fn stay(_: Send, context: Context) -> Result<String, Failure> {
    context.cancellation().cancelled().await;
    Ok(String::new())
}

/// With a clock that can be turned: the lease is the usual one.
#[tokio::test]
async fn a_dead_worker_is_noticed_by_the_lease_of_its_job() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue("mail").unwrap();
    queue.enqueue(Send::to("ada")).await.unwrap();
    let worker = Worker::builder(&queue).handle(stay).build().unwrap();
    let working = tokio::spawn(worker.run_until(std::future::pending()));
    let runs = eventually_async(PATIENCE, async || queue.counts().await.unwrap().active == 1);
    runs.await;
    let problems = async || {
        // One that has read nothing yet, and so no clock.
        let dashboard = Dashboard::new(&oxcart);
        let dashboard = dashboard.token(ADMIN, Access::new("ada", Role::Admin));
        let router = dashboard.unwrap().router();
        let admin = Program::new(&router, ADMIN);
        let queue = admin.get("/api/queues/mail").await.expect(200).json();
        let overview = admin.get("/api/overview").await.expect(200).json();
        let told = queue["line"]["problems"].clone();
        assert_eq!(told, overview["queues"][0]["problems"], "{queue}");
        told
    };
    assert_eq!(problems().await, Value::Array(Vec::new()));
    // It ends as by a crash: nothing is handed back.
    working.abort();
    let _ = working.await;
    assert_eq!(queue.counts().await.unwrap().active, 1);
    oxcart.advance_time(Duration::from_secs(40));
    assert_eq!(problems().await, Value::Array(Vec::new()));
    oxcart.advance_time(Duration::from_secs(6));
    let told = problems().await;
    let first = told[0].as_str().unwrap();
    assert!(first.starts_with("a worker has died"), "{told}");
}
