//! A job that goes to its queue in one call of its own, and so may have its payload in a store.

use std::time::Duration;

use crate::error::Error;
use crate::job::Job;
use crate::policy::unique::OnDuplicate;
use crate::queue::Queue;
use crate::queue::enqueue::Enqueue;
use crate::queue::producer::{Fate, Submission};

impl<J: Job> Enqueue<J> {
    /// Whether the payload can be in a store, wherever it goes. The name of an object says which job has it; but a job that replaces the payload of
    /// another one gives its payload to that job, whose id nobody knows before.
    pub(super) fn may_go_to_a_store(&self) -> bool {
        let unique = self.options.unique.as_ref();
        unique.is_none_or(|unique| unique.on_duplicate == OnDuplicate::Reject)
    }
}

/// Deletes the object of a job that was not added, as far as that is known. `most`: the caller waits no longer.
pub(super) async fn clean_up(
    queue: &Queue,
    submission: &Submission,
    fate: &Result<Fate, Error>,
    most: Duration,
) {
    let objects = || submission.objects();
    match fate {
        Ok(Fate::Added { there } | Fate::NotDurable { there, .. }) if there.is_empty() => {}
        // One that is there may have been added by an earlier try of this request.
        Ok(Fate::Added { .. } | Fate::NotDurable { .. }) => {
            queue.inner.discard_unused_within(objects(), most).await;
        }
        Ok(
            Fate::NotAdded { .. }
            | Fate::NotSent { .. }
            | Fate::NotTaken { .. }
            | Fate::Clashed { .. },
        ) => {
            queue.inner.discard(objects(), most).await;
        }
        // It may be there, now or later: the sweep finds out.
        Ok(Fate::Unknowable { .. }) | Err(_) => {}
    }
}
