//! The jobs that a random sequence enqueues.

use super::op::New;
use super::world::{World, name};
use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::record::EncodedRecord;
use crate::policy::retention::Retention;
use crate::store::enqueue::{Due, NewJob};

impl World<'_> {
    pub(super) fn job(&self, new: &New) -> NewJob {
        let due = match (new.delay_ms, new.at) {
            (None, _) => Due::Now,
            (Some(ms), false) => Due::After { ms },
            (Some(ms), true) => Due::At {
                ms: self.now_us / 1_000 + ms,
            },
        };
        let mut options = JobOptions::new();
        options.priority = new.priority;
        // Some ask for a retention of their own.
        options.keep = match new.priority {
            Some(7) => Some(Retention::from_millis(60_001)),
            Some(499) => Some(Retention::Nothing),
            _ => None,
        };
        NewJob {
            id: name(new.id),
            record: EncodedRecord::new("test", vec![0; new.bytes], &options, Vec::new()),
            due,
            priority: new.priority,
            front: new.front,
            await_ms: new.await_ms,
        }
    }

    pub(super) fn flooding(&mut self, delay_ms: Option<u64>, priority: Option<u16>) -> NewJob {
        self.flooded += 1;
        NewJob {
            id: JobId::stored(&format!("flood-{:05}", self.flooded)),
            record: EncodedRecord::new("flood", vec![0], &JobOptions::new(), Vec::new()),
            due: delay_ms.map_or(Due::Now, |ms| Due::After { ms }),
            priority,
            front: false,
            await_ms: None,
        }
    }
}
