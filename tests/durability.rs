//! Jobs that are more than in memory before their callers are told that they are there.
//!
//! `DURABILITY=full cargo test --release --test durability` has the large numbers.

mod support;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use oxcart::{Changed, Durability, Enqueued, ErrorKind, Job, JobOptions, Oxcart, Queue};
use serde::{Deserialize, Serialize};
use support::{Server, eventually};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
struct Charge {
    order: u64,
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    type Output = ();
}

/// A type that asks for a replica by itself.
#[derive(Serialize, Deserialize)]
struct Payout;

impl Job for Payout {
    const NAME: &'static str = "payout";
    type Output = ();

    fn options() -> JobOptions {
        JobOptions::new().durability(Durability::Replicated(1))
    }
}

/// How often a server is lost.
fn times() -> usize {
    match std::env::var("DURABILITY").as_deref() {
        Ok("full") => 50,
        _ => 2,
    }
}

async fn queue(server: &Server, within: Duration) -> Queue {
    let oxcart = Oxcart::builder().call_timeout(within);
    let oxcart = oxcart.connect(&server.url()).await.unwrap();
    oxcart.queue("payments").unwrap()
}

/// The ids of the jobs that a server has.
fn jobs_at(server: &Server) -> BTreeSet<String> {
    let records: Vec<String> = server.ask(&["HKEYS", "oxcart:{payments}:jobs"]);
    records.into_iter().collect()
}

/// Whether it knows `WAITAOF`.
fn confirms_writes_to_disk(server: &Server) -> bool {
    server.try_cli(&["WAITAOF", "0", "0", "1"]).is_ok()
}

/// A server with one replica, which is connected.
fn with_replica() -> (Server, Server) {
    let (server, replica) = (Server::start(), Server::start());
    replica.replica_of(&server);
    (server, replica)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_with_a_replica_survives_the_loss_of_its_server() {
    if support::road::is_skipped_in_a_cluster("REPLICAOF") {
        return;
    }
    for _ in 0..times() {
        let (server, replica) = with_replica();
        let queue = queue(&server, 5 * SECOND).await;
        let durable = queue.with_durability(Durability::Replicated(1)).unwrap();
        let told = Mutex::new(BTreeSet::new());
        let producing = async {
            loop {
                let many = durable.enqueue_many((0..300).map(|order| Charge { order }));
                let jobs = many.await.unwrap();
                let ids = jobs.iter().map(|job| job.id().to_string());
                told.lock().unwrap().extend(ids);
            }
        };
        let enough = async {
            let at_least = 300 * fastrand::usize(1..20);
            eventually(20 * SECOND, || told.lock().unwrap().len() >= at_least).await;
        };
        // Killed while further jobs are on their way.
        tokio::select! {
            () = enough => server.kill(),
            () = producing => {}
        }
        replica.cli(&["REPLICAOF", "NO", "ONE"]);
        let there = jobs_at(&replica);
        let told = told.into_inner().unwrap();
        let lost = told.difference(&there).count();
        assert_eq!(lost, 0, "of {}", told.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_jobs_share_a_confirmation_and_plain_jobs_have_none() {
    if support::road::is_skipped_in_a_cluster("REPLICAOF") {
        return;
    }
    let (server, _replica) = with_replica();
    let queue = queue(&server, 5 * SECOND).await;
    queue
        .enqueue_many((0..1000).map(|order| Charge { order }))
        .await
        .unwrap();
    assert_eq!(server.calls("wait"), 0);
    let durable = queue.with_durability(Durability::Replicated(1)).unwrap();
    durable
        .enqueue_many((0..10_000).map(|order| Charge { order }))
        .await
        .unwrap();
    let waits = server.calls("wait");
    assert!((1..=40).contains(&waits), "{waits} for 40 calls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_request_counts_before_the_type_and_the_type_before_the_handle() {
    if support::road::is_skipped_in_a_cluster("REPLICAOF") {
        return;
    }
    let (server, _replica) = with_replica();
    let queue = queue(&server, 5 * SECOND).await;
    queue.enqueue(Payout).await.unwrap();
    assert_eq!(server.calls("wait"), 1);
    queue
        .enqueue(Payout)
        .durability(Durability::Memory)
        .await
        .unwrap();
    assert_eq!(server.calls("wait"), 1);
    queue
        .enqueue(Charge { order: 1 })
        .durability(Durability::Replicated(1))
        .await
        .unwrap();
    assert_eq!(server.calls("wait"), 2);
    let durable = queue.with_durability(Durability::Replicated(1)).unwrap();
    durable
        .enqueue(Payout)
        .durability(Durability::Memory)
        .await
        .unwrap();
    durable.enqueue(Charge { order: 1 }).await.unwrap();
    assert_eq!(server.calls("wait"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_level_that_is_not_reached_is_told_and_the_job_is_there_once() {
    let server = Server::start();
    let queue = queue(&server, 2 * SECOND).await;
    let mut request = queue
        .enqueue(Charge { order: 1 })
        .durability(Durability::Replicated(1));
    let error = (&mut request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotDurable, "{error}");
    assert_eq!(error.job_id(), Some(request.job_id()));
    assert!(
        error.to_string().contains("0 of 1 replicas have it"),
        "{error}"
    );
    // The same request adds nothing, though the job is gone by then.
    let removed = queue.remove(request.job_id()).await.unwrap();
    assert_eq!(removed, Changed::Done);
    let again = (&mut request).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotDurable, "{again}");
    assert_eq!(queue.counts().await.unwrap().left(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_jobs_go_on_behind_those_that_are_there_and_not_durable() {
    let server = Server::start();
    let queue = queue(&server, 2 * SECOND).await;
    let durable = queue.with_durability(Durability::Replicated(1)).unwrap();
    let mut request = durable.enqueue_many((0..600).map(|order| Charge { order }));
    let mut errors = 0;
    let jobs = loop {
        match (&mut request).await {
            Ok(jobs) => break jobs,
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotDurable, "{error}"),
        }
        errors += 1;
        assert!(errors <= 3, "more errors than calls");
    };
    assert_eq!(jobs.len(), 600);
    assert!(jobs.iter().all(|job| job.enqueued() == Enqueued::New));
    assert_eq!(queue.counts().await.unwrap().waiting, 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_write_to_disk_says_what_is_missing() {
    let server = Server::start();
    let queue = queue(&server, 5 * SECOND).await;
    let request = queue
        .enqueue(Charge { order: 1 })
        .durability(Durability::Fsync);
    let error = request.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsuitable, "{error}");
    let words = match confirms_writes_to_disk(&server) {
        true => "set `appendonly yes`",
        false => "WAITAOF",
    };
    assert!(error.to_string().contains(words), "{error}");
    assert!(error.to_string().contains("was enqueued"), "{error}");
    let nobody = queue
        .with_durability(Durability::Replicated(0))
        .unwrap_err();
    assert!(nobody.is_invalid());
}

/// Killed in the middle of the stream, at an arbitrary moment of the second in which Redis writes to disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_on_disk_survives_kills_of_the_server() {
    let server = Server::options()
        .arg("--appendonly", "yes")
        .arg("--appendfsync", "everysec")
        .start();
    if !confirms_writes_to_disk(&server) {
        return;
    }
    let mut told = BTreeSet::new();
    for kill in 0..times() {
        let queue = queue(&server, 5 * SECOND).await;
        let durable = queue.with_durability(Durability::Fsync).unwrap();
        let mut batches = Vec::new();
        let until = Duration::from_millis(1200 + fastrand::u64(0..1500));
        let producing = async {
            for order in 0.. {
                let many = durable.enqueue_many((0..100).map(|_| Charge { order }));
                let Ok(jobs) = many.await else { return };
                batches.push(
                    jobs.iter()
                        .map(|job| job.id().to_string())
                        .collect::<Vec<_>>(),
                );
            }
        };
        _ = tokio::time::timeout(until, producing).await;
        server.kill();
        server.restart();
        told.extend(batches.into_iter().flatten());
        let there = jobs_at(&server);
        let lost: Vec<_> = told.difference(&there).collect();
        assert!(
            lost.is_empty(),
            "kill {kill}: {} of {} lost",
            lost.len(),
            told.len()
        );
    }
    assert!(!told.is_empty());
}

/// A server without the job takes the place of the one that was asked: it must not confirm it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_does_not_confirm_what_it_never_had() {
    let server = Server::start();
    let queue = queue(&server, 10 * SECOND).await;
    let request = queue
        .enqueue(Charge { order: 1 })
        .durability(Durability::Replicated(1));
    let waiting = tokio::spawn(async move { request.await.map(|_| ()) });
    eventually(5 * SECOND, || {
        server.calls("evalsha") > 0 && blocked(&server) == 1
    })
    .await;
    // An empty server takes its place.
    server.restart();
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknowable, "{error}");
}

/// The same server answers on another connection, and the replica still does not have it. From Redis 7.2 on, a connection that has written nothing
/// waits for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_connection_does_not_confirm_what_no_replica_has() {
    if support::road::is_skipped_in_a_cluster("REPLICAOF") {
        return;
    }
    let (server, replica) = with_replica();
    eventually(5 * SECOND, || {
        server
            .try_cli(&["WAIT", "1", "10"])
            .is_ok_and(|there| there == redis::Value::Int(1))
    })
    .await;
    let queue = queue(&server, 3 * SECOND).await;
    replica.pause();
    let request = queue
        .enqueue(Charge { order: 1 })
        .durability(Durability::Replicated(1));
    let waiting = tokio::spawn(async move { request.await.map(|_| ()) });
    for cut in 0..3 {
        eventually(5 * SECOND, || {
            server.calls("wait") > cut && blocked(&server) == 1
        })
        .await;
        server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    }
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotDurable, "{error}");
    replica.resume();
}

/// While one confirmation is waited for, others come, and each is told before it gives up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_during_a_wait_is_told_in_time_that_it_was_not_reached() {
    let server = Server::start();
    let queue = queue(&server, 2 * SECOND).await;
    let durable = queue.with_durability(Durability::Replicated(1)).unwrap();
    let mut waiting = Vec::new();
    for order in 0..20 {
        let request = durable.enqueue(Charge { order });
        waiting.push(tokio::spawn(async move { request.await.map(|_| ()) }));
        tokio::time::sleep(SECOND / 5).await;
    }
    for request in waiting {
        let error = request.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotDurable, "{error}");
    }
    assert_eq!(queue.counts().await.unwrap().waiting, 20);
}

fn blocked(server: &Server) -> u64 {
    server.info("blocked_clients").parse().unwrap()
}

/// Redis writes, and never waits for the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_written_and_not_on_disk_is_not_enough() {
    let server = Server::options()
        .arg("--appendonly", "yes")
        .arg("--appendfsync", "no")
        .start();
    if !confirms_writes_to_disk(&server) {
        return;
    }
    let queue = queue(&server, 2 * SECOND).await;
    let request = queue.enqueue(Charge { order: 1 });
    let error = request.durability(Durability::Fsync).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotDurable, "{error}");
    assert!(
        error.to_string().contains("has not written it to disk"),
        "{error}"
    );
}
