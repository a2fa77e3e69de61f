//! What a caller knows of the handler in which it is. A handler that waits for a job of its own queue holds a slot meanwhile; if all
//! slots are held so, no slot is left that could run the job, and the wait never ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::time::{Instant as Deadline, timeout_at};
use tracing::warn;

use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::queue::Queue;

/// A worker that has just been started is seen by others after a second.
const OTHERS_ARE_SEEN_AFTER: Duration = Duration::from_secs(2);

tokio::task_local! {
    static INSIDE: Handler;
}

/// A handler of a worker, and how many waits of it last.
#[derive(Clone)]
struct Handler {
    inside: Arc<Inside>,
    waits: Arc<AtomicUsize>,
}

/// The handlers of one worker, as far as they wait for jobs of its queue.
#[derive(Debug)]
pub(crate) struct Inside {
    queue: Queue,
    /// The id of the worker.
    worker: String,
    /// How many of its handlers wait, and how many slots there are.
    waiting: AtomicUsize,
    slots: AtomicUsize,
    /// A test runs the worker by hand: it has one slot, and there is no other worker.
    by_hand: AtomicBool,
    warned: AtomicBool,
}

impl Inside {
    /// Of a worker with so many slots.
    pub(crate) fn new(queue: &Queue, worker: &str, slots: usize) -> Self {
        Self {
            queue: queue.clone(),
            worker: worker.to_owned(),
            waiting: AtomicUsize::new(0),
            slots: AtomicUsize::new(slots),
            by_hand: AtomicBool::new(false),
            warned: AtomicBool::new(false),
        }
    }

    /// From now on a test runs the worker by hand.
    #[allow(dead_code, reason = "only the feature `memory` uses it")]
    pub(crate) fn by_hand(&self) {
        self.by_hand.store(true, Relaxed);
    }

    pub(crate) fn set_slots(&self, slots: usize) {
        self.slots.store(slots, Relaxed);
    }

    /// Runs a handler of the worker. Tasks that the handler spawns are not inside.
    pub(crate) fn run<F: Future>(
        self: &Arc<Self>,
        handler: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        let inside = Arc::clone(self);
        let waits = Arc::default();
        INSIDE.scope(Handler { inside, waits }, handler)
    }
}

/// A handler waits for a job of its own queue, until this is dropped.
pub(crate) struct OwnWait {
    handler: Handler,
    since: Instant,
}

impl OwnWait {
    /// If the caller is in a handler of a worker of this queue.
    pub(crate) fn begin(queue: &Queue, id: &JobId) -> Option<Self> {
        let handler = INSIDE.try_with(Handler::clone).ok()?;
        let inside = &handler.inside;
        if !inside.queue.inner.is_same(&queue.inner) {
            return None;
        }
        // One handler holds one slot, for however many jobs it waits.
        if handler.waits.fetch_add(1, Relaxed) == 0 {
            inside.waiting.fetch_add(1, Relaxed);
        }
        let waiting = inside.waiting.load(Relaxed);
        if !inside.warned.swap(true, Relaxed) {
            warn!(
                queue = queue.name(),
                job = %id,
                waiting,
                slots = inside.slots.load(Relaxed),
                "a handler waits for a job of its own queue, and holds its slot meanwhile: when all slots are held so, no job runs any \
                 more; let this job be the parent of the other (Flow), or put the other into another queue"
            );
        }
        let since = Instant::now();
        Some(Self { handler, since })
    }

    /// Fails if the wait would never end: all slots wait so, and no other worker is there. The job has not ended. Takes until then at most.
    pub(crate) async fn may_end(&self, id: &JobId, until: Deadline) -> Result<(), Error> {
        let inside = &self.handler.inside;
        let by_hand = inside.by_hand.load(Relaxed);
        let slots = match by_hand {
            true => 1,
            false => inside.slots.load(Relaxed),
        };
        if inside.waiting.load(Relaxed) < slots {
            return Ok(());
        }
        if !by_hand {
            if self.since.elapsed() < OTHERS_ARE_SEEN_AFTER {
                return Ok(());
            }
            // What cannot be read now is read at the next look.
            let workers = match timeout_at(until, inside.queue.workers()).await {
                Ok(Ok(workers)) => workers,
                Ok(Err(_)) | Err(_) => Vec::new(),
            };
            let is_alone = workers.iter().all(|one| one.id == inside.worker);
            if workers.is_empty() || !is_alone {
                return Ok(());
            }
        }
        let queue = inside.queue.name();
        let what = format!(
            "a handler of `{queue}` waits for job {id} of the same queue, and would wait for ever: so do all handlers that its worker has \
             slots for ({slots}), and there is no other worker; let this job be the parent of the other (Flow), or put the other into another \
             queue"
        );
        Err(Error::new(ErrorKind::Deadlock, what).with_job(id))
    }
}

impl Drop for OwnWait {
    fn drop(&mut self) {
        if self.handler.waits.fetch_sub(1, Relaxed) == 1 {
            self.handler.inside.waiting.fetch_sub(1, Relaxed);
        }
    }
}
