//! How many jobs are in each state, and for how long they wait, for the recorder of the `metrics` facade.

use std::time::Duration;

use crate::error::Error;
use crate::metrics;
use crate::queue::Queue;
use crate::queue::info::Counts;

impl Queue {
    /// Reads [`counts`](Self::counts), and sets the gauges `oxcart_jobs_in_state` and `oxcart_oldest_waiting_seconds` for this queue. It is one
    /// call to Redis, and while jobs wait a second one, [`oldest_waiting`](Self::oldest_waiting). Call it as often as metrics are collected,
    /// in one process of the deployment.
    ///
    /// ```no_run
    /// # async fn example(oxcart: oxcart::Oxcart) -> Result<(), oxcart::Error> {
    /// let mut every = tokio::time::interval(std::time::Duration::from_secs(15));
    /// loop {
    ///     every.tick().await;
    ///     for name in oxcart.queues().await? {
    ///         oxcart.queue(&name)?.record_counts().await?;
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If Redis does not answer. Then the gauges keep their values.
    ///
    /// # Cancel safety
    ///
    /// Only reads. If the future is dropped, the gauges keep their values.
    pub async fn record_counts(&self) -> Result<Counts, Error> {
        let counts = self.counts().await?;
        let states = [
            ("waiting", counts.waiting),
            ("blocked", counts.blocked),
            ("delayed", counts.delayed),
            ("active", counts.active),
            ("completed", counts.completed),
            ("dead", counts.dead),
        ];
        let oldest = match counts.waiting {
            0 => None,
            _ => self.oldest_waiting().await?,
        };
        let waits = oldest.map_or(Duration::ZERO, |oldest| oldest.age);
        metrics::counted(self.name(), &states, waits);
        Ok(counts)
    }
}
