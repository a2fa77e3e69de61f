//! Jobs of every kind, through everything that can happen to a job.

use std::time::Duration;

use oxcart::{Backoff, JobState, Queue, QueueSettings, Retention};

use super::eventually;
use super::jobs::{Scene, Work};
use super::pages::ids;
use super::workers::{drained, run, worker};

const SECOND: Duration = Duration::from_secs(1);

/// Jobs of every kind; each leaves its own traces while it is there.
pub async fn a_bit_of_everything(queue: &Queue, scene: &Scene, of_each: usize) {
    let at_once = Backoff::fixed(Duration::ZERO);
    let soon = Duration::from_millis(50);
    let each = || 0..of_each;
    let plain = each().map(|_| queue.enqueue(Work::Quick));
    let large = each().map(|_| queue.enqueue(Work::carry(4 * 1024)));
    let later = each().map(|_| queue.enqueue(Work::Quick).delay(soon).priority(7));
    let reports = each().map(|_| queue.enqueue(Work::Report));
    let fails = each().map(|_| {
        let fails = queue.enqueue(Work::Fail { times: 1 });
        fails.backoff(at_once.clone())
    });
    let dies = each().map(|_| queue.enqueue(Work::Fail { times: 9 }).attempts(1));
    let all = plain
        .chain(large)
        .chain(later)
        .chain(reports)
        .chain(fails)
        .chain(dies);
    queue.enqueue_many(all).await.unwrap();
    drained(queue, 30 * SECOND).await;

    // What died is replayed, dies again, and is removed.
    for round in 0..2 {
        let dead = ids(queue, JobState::Dead).await;
        assert_eq!(dead.len(), of_each);
        for id in dead {
            let changed = match round {
                0 => queue.replay(&id).await.unwrap(),
                _ => queue.remove(&id).await.unwrap(),
            };
            assert!(changed.is_done(), "{id}: {changed:?}");
        }
        drained(queue, 30 * SECOND).await;
    }

    // Some lose their worker on the way.
    let crashed = run(worker(queue, scene)
        .lease(SECOND)
        .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing)));
    queue
        .enqueue_many(vec![Work::Hold; of_each.min(10)])
        .await
        .unwrap();
    eventually(5 * SECOND, || scene.running().len() == of_each.min(10)).await;
    crashed.crash().await;
    scene.release(of_each.min(10));
    drained(queue, 30 * SECOND).await;
}
