//! Relays and servers that are killed at any moment.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use oxcart::Oxcart;
use oxcart_postgres::{Relay, Step};
use sqlx::PgPool;

use crate::rig::{Ledger, PATIENCE, Rig, committed, enter_many, relay, work};
use crate::support::{Postgres, Process, child_of_test, database, is_full, spawn_self};

/// A relay that kills itself at a step; without one, it runs until it is killed.
#[test]
fn relay_process() {
    if !child_of_test() {
        return;
    }
    let var = |name| std::env::var(name).expect("the parent sets it");
    let at = match &*var("RELAY_STEP") {
        "begun" => Some(Step::Begun),
        "taken" => Some(Step::Taken),
        "set-aside" => Some(Step::SetAside),
        "fed" => Some(Step::Fed),
        _ => None,
    };
    let skip = std::sync::atomic::AtomicI64::new(var("RELAY_SKIP").parse().expect("a number"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let pool = PgPool::connect(&var("RELAY_POSTGRES"))
            .await
            .expect("connected");
        let oxcart = Oxcart::connect(&var("RELAY_REDIS"))
            .await
            .expect("connected");
        let relay = Relay::new(pool, oxcart).on_step(move |step| {
            use std::sync::atomic::Ordering::Relaxed;
            if Some(step) == at && skip.fetch_sub(1, Relaxed) <= 0 {
                let _ = kill(Pid::this(), Signal::SIGKILL);
            }
        });
        let _ = relay.run_until(std::future::pending()).await;
    });
}

fn spawn(postgres: &str, redis: &str, step: &str, skip: u32) -> Process {
    spawn_self(
        "faults::relay_process",
        &[
            ("RELAY_POSTGRES", postgres),
            ("RELAY_REDIS", redis),
            ("RELAY_STEP", step),
            ("RELAY_SKIP", &skip.to_string()),
        ],
    )
}

/// A relay that is killed at each of its steps: whatever it has done until then, each row becomes one job, and those of a key stay in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_a_relay_may_be_killed_at_each_step() {
    let rounds = if is_full() { 20 } else { 2 };
    let database = database().await;
    let rig = Rig::with(database.pool().await).await;
    let ledger = Ledger::new().await;
    let worker = work(&rig.queue, &ledger);
    let (postgres, redis) = (database.url(), rig.redis.url());
    for round in 0..rounds {
        for step in ["begun", "taken", "set-aside", "fed"] {
            let mut relay = spawn(&postgres, &redis, step, round % 3);
            let entering = enter_many(&rig.pool, &rig.queue, 40);
            let dies = async {
                while relay.is_running() {
                    // There has to be something to do until it dies, and not more than a slow machine gets done.
                    enter_many(&rig.pool, &rig.queue, 4).await;
                    tokio::time::sleep(Duration::from_millis(25)).await;
                }
            };
            tokio::join!(entering, dies);
        }
    }
    let last = relay(&rig.pool, &rig.oxcart);
    let committed = committed(&rig.pool).await;
    rig.until_done(&ledger, committed.len()).await;
    rig.until_sent().await;
    ledger.assert_is(&committed).await;
    last.stop().await;
    worker.stop().await;
}

/// A relay that ends after it has sent its rows and before it has noted that: the next one notes it, though no further row comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_is_noted_without_a_further_row() {
    let database = database().await;
    let rig = Rig::with(database.pool().await).await;
    enter_many(&rig.pool, &rig.queue, 4).await;
    let mut dies = spawn(&database.url(), &rig.redis.url(), "fed", 0);
    assert!(!dies.wait(PATIENCE).success());
    let there = rig.queue.counts().await.expect("counts").left();
    assert_eq!(there, 4, "they were not sent");
    assert!(!rig.is_sent().await, "it was noted already");
    let last = relay(&rig.pool, &rig.oxcart);
    rig.until_sent().await;
    last.stop().await;
}

/// Four relays, of which one or the other is killed, and both servers killed and started again, while rows go through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_whatever_is_killed_each_row_becomes_one_job() {
    let (entries, kills) = if is_full() { (200_000, 6) } else { (2_000, 1) };
    let server = Postgres::start(&[]);
    let database = server.database().await;
    let rig = Rig::with(database.pool().await).await;
    let ledger = Ledger::new().await;
    let worker = work(&rig.queue, &ledger);
    let (postgres, redis) = (database.url(), rig.redis.url());
    let start = || spawn(&postgres, &redis, "none", 0);
    let mut relays: Vec<Process> = (0..4).map(|_| start()).collect();
    let entering = tokio::spawn({
        let (pool, queue) = (rig.pool.clone(), rig.queue.clone());
        async move { enter_many(&pool, &queue, entries).await }
    });
    let some = async |after: i64| {
        rig.until_done(&ledger, usize::try_from(after).expect("small"))
            .await
    };
    for kill in 0..i64::from(kills) {
        let at = |part: i64| {
            i64::try_from(entries).expect("small") * (4 * kill + part) / (5 * i64::from(kills))
        };
        some(at(1)).await;
        tokio::task::block_in_place(|| server.restart());
        some(at(2)).await;
        relays[0].kill();
        relays[0] = start();
        some(at(3)).await;
        tokio::task::block_in_place(|| rig.redis.restart());
        some(at(4)).await;
        for relay in &mut relays[1..] {
            relay.kill();
            *relay = start();
        }
    }
    entering.await.expect("no panic");
    let committed = committed(&rig.pool).await;
    assert!(committed.len() >= entries);
    rig.until_done(&ledger, committed.len()).await;
    rig.until_sent().await;
    // What was doubled comes a moment later.
    tokio::time::sleep(Duration::from_millis(200)).await;
    ledger.assert_is(&committed).await;
    drop(relays);
    worker.stop().await;
}
