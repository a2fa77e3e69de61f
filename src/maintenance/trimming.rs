//! Drops what has been kept long enough, and forgets the last calls of lanes long silent.

use std::time::Duration;

use tracing::{info, warn};

use crate::maintenance::{Duty, Left};
use crate::service::WorkerShared;
use crate::service::trouble::CallKind;
use crate::store::BATCH_JOBS;
use crate::store::backend::{Connection, LANE_TTL, Trouble};
use crate::store::trim::Trim;
use crate::time::millis;

pub(crate) struct Trimming {
    /// Where the last round left off among the lanes.
    lanes_cursor: String,
    /// The number of dead letters that was last warned of.
    warned_at: u64,
    /// Whether it was logged that the settings of the queue cannot be read.
    unreadable: bool,
}

impl Trimming {
    pub(crate) fn new() -> Self {
        Self {
            lanes_cursor: "0".to_owned(),
            warned_at: 0,
            unreadable: false,
        }
    }

    /// Warns once that the settings of the queue cannot be read, and again when that happens anew.
    fn warn_of_settings(&mut self, unreadable: bool, queue: &str) {
        if self.is_news(unreadable) {
            warn!(
                queue,
                "a newer version wrote the settings of the queue, in a format that is not known here; \
                 the defaults hold for this worker"
            );
        }
    }

    fn is_news(&mut self, unreadable: bool) -> bool {
        let was_unreadable = std::mem::replace(&mut self.unreadable, unreadable);
        unreadable && !was_unreadable
    }

    /// Dead letters are dropped only if that is set. An operator is told of them when they pass the threshold, and each
    /// time they have doubled since.
    fn warn_of_dead(&mut self, dead: u64, threshold: u64, queue: &str) {
        if dead < threshold {
            self.warned_at = 0;
        } else if self.warned_at == 0 || dead >= self.warned_at * 2 {
            self.warned_at = dead;
            warn!(
                queue,
                dead, threshold, "the dead-letter list is long; replay or remove"
            );
        }
    }
}

impl Duty for Trimming {
    const KIND: CallKind = CallKind::Trimming;

    fn period(&self, _: &WorkerShared) -> Duration {
        Duration::from_secs(15)
    }

    async fn call(
        &mut self,
        shared: &WorkerShared,
        connection: &mut Connection,
    ) -> Result<Left, Trouble> {
        let verb = Trim {
            limit: BATCH_JOBS,
            lane_ttl_ms: millis(LANE_TTL),
            lanes_cursor: &self.lanes_cursor,
        };
        let trimmed = connection.call(&verb).await?;
        self.lanes_cursor = trimmed.lanes_cursor;
        let queue = shared.queue.name();
        self.warn_of_dead(trimmed.dead, shared.config.dead_warning, queue);
        self.warn_of_settings(trimmed.unreadable, queue);
        if trimmed.dead_dropped > 0 {
            let dropped = trimmed.dead_dropped;
            info!(
                queue,
                dropped, "dead letters were dropped: too old or too many (`keep_dead`)"
            );
        }
        tracing::trace!(target: "oxcart::trim", queue, dropped = trimmed.dropped);
        Ok(if trimmed.more {
            Left::More
        } else {
            Left::Nothing
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_read_are_warned_of_once() {
        let mut trimming = Trimming::new();
        let told = [false, true, true, false, true].map(|unreadable| trimming.is_news(unreadable));
        assert_eq!(told, [false, true, false, false, true]);
    }
}
