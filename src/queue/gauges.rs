//! How many jobs are in each state, for the recorder of the `metrics` facade.

use crate::error::Error;
use crate::metrics;
use crate::queue::Queue;
use crate::queue::info::Counts;

impl Queue {
    /// Reads [`counts`](Self::counts), and sets the gauge `oxcart_jobs_in_state` for this queue: one call to Redis. Call it as often as
    /// metrics are collected, in one process of the deployment.
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
    /// As [`counts`](Self::counts).
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
        metrics::counted(self.name(), &states);
        Ok(counts)
    }
}
