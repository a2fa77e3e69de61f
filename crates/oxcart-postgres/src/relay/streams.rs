//! The queues at which a relay is.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::Shared;
use super::stream::{Ended, Stream};
use super::trouble::{Pause, Troubles, ends_all};
use crate::error::{Error, ErrorKind};

/// So many queues are worked on at a time, each of which has a batch in memory.
const AT_A_TIME: usize = 32;

/// The queues on which this relay is at work, each in a task of its own.
#[derive(Default)]
pub(super) struct Streams {
    /// Rows wait for these.
    pub(super) wanted: HashSet<String>,
    running: HashSet<String>,
    /// These have trouble, and are tried again then.
    paused: HashMap<String, (Pause, Instant)>,
    pub(super) tasks: JoinSet<(String, Result<Ended, Error>)>,
}

impl Streams {
    pub(super) fn start(&mut self, shared: &Arc<Shared>, source: &str) {
        let now = Instant::now();
        for queue in std::mem::take(&mut self.wanted) {
            let is_paused = self
                .paused
                .get(&queue)
                .is_some_and(|(_, until)| *until > now);
            // Rows that came since a task looked for the last time are not forgotten when it ends.
            let is_full = self.running.len() >= AT_A_TIME;
            if is_full || is_paused || self.running.contains(&queue) {
                self.wanted.insert(queue);
                continue;
            }
            self.running.insert(queue.clone());
            let stream = Stream::new(Arc::clone(shared), queue.clone(), source.to_owned());
            self.tasks
                .spawn(async move { (queue, stream.drain().await) });
        }
    }

    /// When the first of those that are paused is tried again, if there is room for it.
    pub(super) fn next_try(&self) -> Option<Instant> {
        if self.running.len() >= AT_A_TIME {
            return None;
        }
        let idle = self.wanted.iter();
        let idle = idle.filter(|queue| !self.running.contains(*queue));
        let wanted = idle.filter_map(|queue| self.paused.get(queue));
        wanted.map(|(_, until)| *until).min()
    }

    pub(super) fn take_in(
        &mut self,
        ended: Result<(String, Result<Ended, Error>), JoinError>,
        troubles: &mut Troubles<'_>,
    ) -> Result<(), Error> {
        // A task that panics is a bug; the others go on after all has begun anew.
        let (queue, result) =
            ended.map_err(|error| Error::new(ErrorKind::Database, error.to_string()))?;
        self.running.remove(&queue);
        match result {
            Ok(Ended::Drained) => self.is_well(&queue, troubles),
            Ok(Ended::TurnOver) => {
                self.is_well(&queue, troubles);
                self.wanted.insert(queue);
            }
            Ok(Ended::Trouble(error)) => self.pause(queue, &error, troubles),
            Err(error) if ends_all(&error) => return Err(error),
            Err(error) => self.pause(queue, &error, troubles),
        }
        Ok(())
    }

    fn is_well(&mut self, queue: &str, troubles: &mut Troubles<'_>) {
        self.paused.remove(queue);
        troubles.is_well(queue);
    }

    fn pause(&mut self, queue: String, error: &Error, troubles: &mut Troubles<'_>) {
        troubles.tell(&queue, error);
        let (mut pause, _) = self
            .paused
            .remove(&queue)
            .unwrap_or((Pause::new(), Instant::now()));
        let until = Instant::now() + pause.next();
        self.paused.insert(queue.clone(), (pause, until));
        self.wanted.insert(queue);
    }
}
