//! A Redis that forgets what it has confirmed.

use oxcart::{Oxcart, Queue};

use crate::rig::{Entry, Ledger, PATIENCE, Rig, committed, enter_many, relay, work};
use crate::support::{Server, eventually_async};

const ENTRIES: usize = 400;

struct Failover {
    primary: Oxcart,
    replica: Server,
}

/// A server, and a replica of it that is as it was before the second half came; the first is killed, and the replica promoted.
async fn fail_over(primary: &Server, half: impl AsyncFn(&Queue)) -> Failover {
    let replica = Server::start();
    replica.replica_of(primary);
    let oxcart = Oxcart::connect(&primary.url()).await.expect("connected");
    let queue = oxcart.queue("work").expect("a name");
    half(&queue).await;
    let offset = || primary.info("master_repl_offset");
    eventually_async(PATIENCE, async || {
        replica.info("master_repl_offset") == offset()
    })
    .await;
    // It hears no more from the primary, which does not wait for it.
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    half(&queue).await;
    tokio::task::block_in_place(|| primary.kill());
    Failover {
        primary: oxcart,
        replica,
    }
}

/// A stale replica is promoted: every committed row's job is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_what_redis_has_lost_is_sent_again() {
    let rig = Rig::new().await;
    let half = async |queue: &Queue| {
        let relay = relay(&rig.pool, &rig.oxcart);
        enter_many(&rig.pool, queue, ENTRIES / 2).await;
        rig.until_sent().await;
        relay.stop().await;
    };
    let failover = fail_over(&rig.redis, half).await;
    let oxcart = Oxcart::connect(&failover.replica.url())
        .await
        .expect("connected");
    let queue = oxcart.queue("work").expect("a name");
    let ledger = Ledger::new().await;
    let committed = committed(&rig.pool).await;
    let there = queue.counts().await.expect("counts").left();
    assert!(there < committed.len() as u64, "nothing was lost");
    let (relay, worker) = (relay(&rig.pool, &oxcart), work(&queue, &ledger));
    rig.until_done(&ledger, committed.len()).await;
    ledger.assert_is(&committed).await;
    relay.stop().await;
    worker.stop().await;
    drop(failover.primary);
}

/// The same without the outbox.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_outbox_jobs_are_lost() {
    let primary = Server::start();
    let half = async |queue: &Queue| {
        let jobs = (0..ENTRIES as i64 / 2).map(|number| Entry { key: 0, number });
        queue.enqueue_many(jobs).await.expect("enqueued");
    };
    let failover = fail_over(&primary, half).await;
    let oxcart = Oxcart::connect(&failover.replica.url())
        .await
        .expect("connected");
    let queue = oxcart.queue("work").expect("a name");
    let there = queue.counts().await.expect("counts").left();
    println!("{} of {ENTRIES} jobs were lost", ENTRIES as u64 - there);
    assert_eq!(there, ENTRIES as u64 / 2);
    drop(failover.primary);
}

/// A Redis that comes back without anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_an_empty_redis_is_filled_again_while_the_relay_runs() {
    let rig = Rig::new().await;
    let relay = relay(&rig.pool, &rig.oxcart);
    enter_many(&rig.pool, &rig.queue, ENTRIES).await;
    rig.until_sent().await;
    rig.redis.cli(&["FLUSHALL"]);
    // More comes before anybody has noticed.
    enter_many(&rig.pool, &rig.queue, 40).await;
    let committed = committed(&rig.pool).await;
    let ledger = Ledger::new().await;
    let worker = work(&rig.queue, &ledger);
    rig.until_done(&ledger, committed.len()).await;
    ledger.assert_is(&committed).await;
    relay.stop().await;
    worker.stop().await;
}
