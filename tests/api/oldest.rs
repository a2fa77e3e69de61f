//! Since when the oldest job waits.

use std::time::Duration;

use crate::rig::{Number, PATIENCE, Rig};
use crate::support::eventually_async;

#[tokio::test]
async fn the_oldest_job_that_waits_is_told_whatever_its_priority() {
    let rig = Rig::new().await;
    assert_eq!(rig.queue.oldest_waiting().await.unwrap(), None);
    let hour = Duration::from_secs(3_600);
    rig.queue.enqueue(Number(0)).delay(hour).await.unwrap();
    assert_eq!(rig.queue.oldest_waiting().await.unwrap(), None);
    let first = rig.queue.enqueue(Number(1)).priority(900).await.unwrap();
    for n in 0..20 {
        rig.queue.enqueue(Number(n)).await.unwrap();
    }
    let oldest = || async { rig.queue.oldest_waiting().await.unwrap().unwrap() };
    let found = oldest().await;
    assert_eq!(&found.id, first.id());
    let info = first.info().await.unwrap().unwrap();
    assert_eq!(found.enqueued_at, info.enqueued_at);
    eventually_async(PATIENCE, async || oldest().await.age > found.age).await;
}
