//! Groups and orders of a type of job, as callers see them.

use std::time::Duration;

use oxcart::{Failure, Job, JobHandle, JobState, OnFailure, Order};
use serde::{Deserialize, Serialize};

use crate::rig::{Rig, Running};

#[derive(Serialize, Deserialize)]
struct Import {
    tenant: u64,
}

impl Job for Import {
    const NAME: &'static str = "import";
    type Output = ();

    fn group(&self) -> Option<String> {
        (self.tenant > 0).then(|| format!("tenant-{}", self.tenant))
    }
}

async fn import(_: Import) -> Result<(), Failure> {
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Ship {
    order: u64,
}

impl Job for Ship {
    const NAME: &'static str = "ship";
    type Output = ();

    fn ordered_by(&self) -> Option<Order> {
        Some(Order::by(format!("order-{}", self.order)).on_failure(OnFailure::Halt))
    }
}

/// The group and the order of a job.
async fn gates_of<J: Job>(job: &JobHandle<J>) -> (Option<String>, Option<String>) {
    let info = job.info().await.unwrap().unwrap();
    (info.group, info.order)
}

#[tokio::test]
async fn a_type_makes_its_group_of_its_own_fields() {
    let rig = Rig::new().await;
    let first = rig.queue.enqueue(Import { tenant: 7 }).await.unwrap();
    assert_eq!(gates_of(&first).await, (Some("tenant-7".to_owned()), None));
    assert_eq!(first.info().await.unwrap().unwrap().on_failure, None);
    let none = rig.queue.enqueue(Import { tenant: 0 }).await.unwrap();
    assert_eq!(gates_of(&none).await, (None, None));
    // Where it is enqueued, a job can get another group.
    let other = rig.queue.enqueue(Import { tenant: 7 }).group("vip");
    let other = other.await.unwrap();
    assert_eq!(gates_of(&other).await, (Some("vip".to_owned()), None));
    // One that has a group has no order.
    let both = rig.queue.enqueue(Import { tenant: 7 }).ordered_by("x");
    assert!(both.await.unwrap_err().is_invalid());
    let all = (1..=3).map(|tenant| Import { tenant });
    for (job, tenant) in rig.queue.enqueue_many(all).await.unwrap().iter().zip(1..) {
        let group = Some(format!("tenant-{tenant}"));
        assert_eq!(gates_of(job).await, (group, None));
    }
}

#[tokio::test]
async fn a_type_makes_its_order_of_its_own_fields() {
    let rig = Rig::new().await;
    let first = rig.queue.enqueue(Ship { order: 17 }).await.unwrap();
    assert_eq!(gates_of(&first).await, (None, Some("order-17".to_owned())));
    let second = rig.queue.enqueue(Ship { order: 17 }).await.unwrap();
    let state = second.info().await.unwrap().unwrap().state;
    assert_eq!(state, JobState::Blocked);
    let on_failure = async |job: &JobHandle<Ship>| job.info().await.unwrap().unwrap().on_failure;
    assert_eq!(on_failure(&second).await, Some(OnFailure::Halt));
    // Where it is enqueued, a job can get another order.
    let other = rig.queue.enqueue(Ship { order: 17 }).ordered_by("order-18");
    let other = other.await.unwrap();
    assert_eq!(gates_of(&other).await, (None, Some("order-18".to_owned())));
    assert_eq!(on_failure(&other).await, Some(OnFailure::UntilDead));
    let pass = Order::by("order-18").on_failure(OnFailure::Pass);
    let pass = rig.queue.enqueue(Ship { order: 17 }).ordered_by(pass);
    assert_eq!(
        on_failure(&pass.await.unwrap()).await,
        Some(OnFailure::Pass)
    );
}

#[tokio::test]
async fn jobs_of_a_schedule_have_the_group_of_their_type() {
    let rig = Rig::new().await;
    let often = rig.queue.schedule("often").every(Duration::from_secs(1));
    often.job(Import { tenant: 7 }).await.unwrap();
    let running = Running::start(rig.worker().handle(import));
    rig.until(|counts| counts.totals.completed > 0).await;
    running.stop().await;
    let page = rig.queue.jobs(JobState::Completed).await.unwrap();
    assert_eq!(page.jobs[0].group.as_deref(), Some("tenant-7"));
}
