//! What is read of a queue to judge rules about it.

use std::time::Duration;

use crate::error::Error;
use crate::policy::alert::condition::{Needs, Readings};
use crate::queue::Queue;
use crate::time::Timestamp;

/// Reads what these rules need, and no more.
pub(crate) async fn read(queue: &Queue, needs: Needs, now: Timestamp) -> Result<Readings, Error> {
    let counts = queue.counts().await?;
    let totals = &counts.totals;
    let waiting = counts.waiting + counts.blocked;
    let mut readings = Readings {
        waiting,
        dead: counts.dead,
        arrived: totals.added + totals.replayed,
        departed: totals.completed + totals.cancelled + totals.dead,
        completed: totals.completed,
        failed: totals.retried + totals.dead,
        died: totals.dead,
        stalled: totals.stalled,
        ..Readings::default()
    };
    if needs.oldest {
        let oldest = queue.oldest_waiting().await?;
        readings.oldest = oldest.map_or(Duration::ZERO, |oldest| oldest.age);
    }
    if needs.schedules {
        let schedules = queue.schedules().await?.into_iter();
        let ticks = schedules.filter(|schedule| !schedule.paused);
        let late = ticks.filter_map(|schedule| Some(now.duration_since(schedule.next_tick?)));
        readings.late_schedule = late.max().unwrap_or_default();
    }
    // Without jobs that wait nobody asks.
    readings.has_worker = needs.workers && waiting > 0 && queue.has_worker().await?;
    Ok(readings)
}
