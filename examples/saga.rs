//! A saga: three steps in three places, which all stand, or are undone in reverse order; also when an undo cannot be done at first.
//!
//! `cargo run --example saga --features memory`; the clock is that of the queue in memory, which a test turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use oxcart::{
    Backoff, Changed, DeadReason, Ended, ErrorKind, Failure, Job, Oxcart, Saga, SagaState, State,
    StepState, Worker,
};
use serde::{Deserialize, Serialize};

/// Fulfils an order: keeps what is ordered, takes the money, ships.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Fulfil {
    pieces: i64,
    cents: i64,
}

impl Job for Fulfil {
    const NAME: &'static str = "fulfil";
    type Output = String;
}

#[derive(Serialize, Deserialize)]
struct Held {
    pieces: i64,
}

#[derive(Serialize, Deserialize)]
struct Paid {
    cents: i64,
}

/// The world outside.
#[derive(Default)]
struct World {
    in_stock: AtomicI64,
    balance: AtomicI64,
    truck_is_broken: AtomicBool,
    bank_is_closed: AtomicBool,
}

impl World {
    async fn reserve(&self, order: &Fulfil) -> Result<Held, Failure> {
        let pieces = order.pieces;
        self.in_stock.fetch_sub(pieces, Ordering::SeqCst);
        Ok(Held { pieces })
    }

    async fn charge(&self, order: &Fulfil) -> Result<Paid, Failure> {
        let cents = order.cents;
        if self.balance.load(Ordering::SeqCst) < cents {
            return Err(Failure::dead("not enough money"));
        }
        self.balance.fetch_sub(cents, Ordering::SeqCst);
        Ok(Paid { cents })
    }

    async fn ship(&self, _: &Held, _: &Paid) -> Result<String, Failure> {
        match self.truck_is_broken.load(Ordering::SeqCst) {
            true => Err("the truck is broken".into()), // tried again, as often as the job has attempts
            false => Ok("on its way".to_owned()),
        }
    }
}

async fn fulfil(order: Fulfil, saga: Saga, world: State<Arc<World>>) -> Result<String, Failure> {
    let held = saga
        .step("reserve", || world.reserve(&order))
        .undo(release)
        .await?;
    let paid = saga
        .step("pay", || world.charge(&order))
        .undo(refund)
        .await?;
    saga.step("ship", || world.ship(&held, &paid)).await
}

async fn release(held: Held, world: State<Arc<World>>) -> Result<(), Failure> {
    world.in_stock.fetch_add(held.pieces, Ordering::SeqCst);
    Ok(())
}

async fn refund(paid: Paid, world: State<Arc<World>>) -> Result<(), Failure> {
    if world.bank_is_closed.load(Ordering::SeqCst) {
        return Err("the bank is closed".into());
    }
    world.balance.fetch_add(paid.cents, Ordering::SeqCst);
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let oxcart = Oxcart::in_memory();
    let orders = oxcart.queue("orders")?;
    let world = Arc::new(World::default());
    world.in_stock.store(10, Ordering::SeqCst);
    world.balance.store(10_000, Ordering::SeqCst);
    let worker = Worker::builder(&orders)
        .state(Arc::clone(&world))
        .handle(fulfil)
        .build()?;
    let minute = Duration::from_secs(60);
    let enqueue = |pieces, cents| {
        let request = orders.enqueue(Fulfil { pieces, cents });
        request.attempts(2).backoff(Backoff::fixed(minute))
    };
    // Runs what is due, until nothing is left that waits.
    let run = async || {
        for _ in 0..10 {
            worker.drain().await;
            oxcart.advance_time(minute);
        }
    };
    let left = || {
        let stock = world.in_stock.load(Ordering::SeqCst);
        (stock, world.balance.load(Ordering::SeqCst))
    };

    let order = enqueue(2, 3_000).await?;
    run().await;
    println!("the first order is {}", order.result().await?);
    assert_eq!(left(), (8, 7_000));

    let order = enqueue(1, 50_000).await?;
    run().await;
    let undone = order.result().await.unwrap_err();
    assert_eq!(undone.kind(), ErrorKind::Compensated);
    println!("the second was undone: {undone}");
    assert_eq!(left(), (8, 7_000), "what was kept is free again");

    // Now everything goes wrong: the truck, and the bank that is to give the money back.
    world.truck_is_broken.store(true, Ordering::SeqCst);
    world.bank_is_closed.store(true, Ordering::SeqCst);
    let order = enqueue(1, 1_000).await?;
    run().await;
    let saga = orders.saga(order.id());
    let info = saga.info().await?.expect("it has begun");
    assert_eq!(info.state, SagaState::Stuck);
    let ended = order.info().await?.expect("it is there").ended;
    assert_eq!(ended, Some(Ended::Dead(DeadReason::Stuck)));
    println!(
        "the third is stuck, because {}",
        info.reason.unwrap_or_default()
    );
    for step in &info.steps {
        println!("  {} is {}", step.name, step.state);
    }
    assert_eq!(left(), (7, 6_000));

    // Somebody gives the money back by hand, and lets the saga go on.
    world.balance.fetch_add(1_000, Ordering::SeqCst);
    saga.skip_undo("pay").await?;
    assert_eq!(orders.replay(order.id()).await?, Changed::Done);
    run().await;
    let info = saga.info().await?.expect("it is kept");
    assert_eq!(info.state, SagaState::Compensated);
    let states: Vec<StepState> = info.steps.iter().map(|step| step.state).collect();
    assert_eq!(
        states,
        [StepState::Undone, StepState::Skipped, StepState::Failed]
    );
    println!("and then undone, but for what was done by hand");
    assert_eq!(left(), (8, 7_000));
    Ok(())
}
