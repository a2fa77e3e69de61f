//! A Redis that forgets what it has confirmed.

use std::sync::{Arc, Mutex};

use oxcart::{Oxcart, Queue};
use oxcart_postgres::Outbox;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

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

/// What was lost is said once; a relay that only had stalled says nothing.
#[tokio::test]
async fn a_loss_is_told_once() {
    let told = Told::default();
    let subscriber = tracing_subscriber::registry().with(told.clone());
    // With a single subscriber, `tracing` decides once whether a line of the log is of interest, on the thread that reaches this line first. In another
    // test that thread has no subscriber, and the line would stay silent here as well. With two subscribers `tracing` asks both.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    // The tasks of this test run on this thread alone.
    let _guard = tracing::subscriber::set_default(subscriber);
    let rig = Rig::new().await;
    let running = relay(&rig.pool, &rig.oxcart);
    let mut connection = rig.pool.acquire().await.expect("a connection");
    for number in 1..=5 {
        let sent = Outbox::new()
            .enqueue(&mut connection, &rig.queue, Entry { key: 0, number })
            .await;
        sent.expect("written");
    }
    let has = async |jobs| {
        let counts = rig.queue.counts().await;
        counts.is_ok_and(|counts| counts.left() == jobs)
    };
    eventually_async(PATIENCE, async || has(5).await).await;
    rig.until_sent().await;
    assert_eq!(told.losses(), Vec::<(u64, u64)>::new());
    rig.redis.cli(&["FLUSHALL"]);
    eventually_async(PATIENCE, async || has(5).await).await;
    rig.until_sent().await;
    assert_eq!(told.losses(), [(0, 5)]);
    running.stop().await;

    // One that has asked long ago changes nothing, and is told so.
    let take = "SELECT upto, noted FROM oxcart.outbox_take('work', 3, gen_random_uuid(), $1, '1 s', 10, 1000)";
    let stale = sqlx::query_as(take).bind(false);
    let stale: (Option<i64>, Option<i64>) =
        stale.fetch_one(&mut *connection).await.expect("answered");
    assert_eq!(stale, (None, Some(5)));
    let fed: i64 = sqlx::query_scalar("SELECT fed FROM oxcart.outbox_stream")
        .fetch_one(&mut *connection)
        .await
        .expect("read");
    assert_eq!(fed, 5);

    // Also when nothing is kept any more.
    let none = "DELETE FROM oxcart.outbox_sent";
    sqlx::query(none)
        .execute(&mut *connection)
        .await
        .expect("deleted");
    let running = relay(&rig.pool, &rig.oxcart);
    rig.redis.cli(&["FLUSHALL"]);
    eventually_async(PATIENCE, async || told.losses().len() > 1).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(told.losses(), [(0, 5), (0, 5)]);
    running.stop().await;
}

/// What was said of losses: where the queue stands, and where it had stood.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(u64, u64)>>>);

impl Told {
    fn losses(&self) -> Vec<(u64, u64)> {
        self.0.lock().expect("no panic").clone()
    }
}

impl<S: Subscriber> Layer<S> for Told {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        #[derive(Default)]
        struct Numbers(Option<u64>, Option<u64>);
        impl Visit for Numbers {
            fn record_u64(&mut self, field: &Field, value: u64) {
                match field.name() {
                    "stands" => self.0 = Some(value),
                    "noted" => self.1 = Some(value),
                    _ => {}
                }
            }
            fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
        }
        let mut numbers = Numbers::default();
        event.record(&mut numbers);
        if let Numbers(Some(stands), Some(noted)) = numbers {
            self.0.lock().expect("no panic").push((stands, noted));
        }
    }
}
