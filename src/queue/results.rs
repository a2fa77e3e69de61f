//! The callers of this process that wait for results. One task per queue reads the announcements,
//! only while a caller waits; it never reads the stream of all events.
//!
//! After the last waiter the task goes on to the end of its read, 5 s at most: a caller that waits for one result
//! after the other needs one connection, and not one for each result. With the last handle of the queue it ends
//! at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use crate::id::JobId;
use crate::name::QueueName;
use crate::policy::silence::Silence;
use crate::queue::follower::Follower;
use crate::store::backend::{Entry, Reader, Store, Stream};

const ENTRIES_PER_READ: usize = 64;
const PAUSE: Duration = Duration::from_millis(200);
/// How long a waiter waits for the task to start; after that it asks Redis itself now and then.
const START_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Results {
    store: Store,
    /// For the log.
    queue: QueueName,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiters: HashMap<JobId, Waiters>,
    follower: Option<Follower>,
}

struct Waiters {
    count: usize,
    announced: watch::Sender<()>,
}

/// One waiter's place; gives it up when dropped.
pub(crate) struct Listening {
    id: JobId,
    announced: watch::Receiver<()>,
    shared: Arc<Shared>,
}

impl Listening {
    /// Completes when the job was announced since the last time. Cancel safe.
    pub(crate) async fn heard(&mut self) {
        // The sender lives as long as this waiter.
        let _ = self.announced.changed().await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(waiters) = state.waiters.get_mut(&self.id) {
            waiters.count -= 1;
            if waiters.count == 0 {
                state.waiters.remove(&self.id);
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, entry: &Entry) {
        let state = self.lock();
        let ids = entry.fields.first().map_or(&[][..], |(_, ids)| ids);
        for id in String::from_utf8_lossy(ids).split(' ') {
            if let Some(waiters) = state.waiters.get(&JobId::stored(id)) {
                waiters.announced.send_replace(());
            }
        }
    }
}

impl Results {
    pub(crate) fn new(store: Store, queue: QueueName) -> Self {
        Self {
            store,
            queue,
            shared: Arc::default(),
        }
    }

    /// Makes all waiters ask Redis themselves: their jobs may be gone without an announcement.
    pub(crate) fn look_again(&self) {
        for waiters in self.shared.lock().waiters.values() {
            waiters.announced.send_replace(());
        }
    }

    /// Announcements of `id` are heard from here on.
    ///
    /// A task that cannot reach Redis does not start; after `patience` the waiter looks for itself.
    pub(crate) async fn listen(&self, id: &JobId, patience: Duration) -> Listening {
        let (listening, mut started) = self.register(id);
        let patience = patience.min(START_PATIENCE);
        let _ = tokio::time::timeout(patience, started.wait_for(|ready| *ready)).await;
        listening
    }

    fn register(&self, id: &JobId) -> (Listening, watch::Receiver<bool>) {
        let mut state = self.shared.lock();
        let waiters = state.waiters.entry(id.clone()).or_insert_with(|| Waiters {
            count: 0,
            announced: watch::Sender::new(()),
        });
        waiters.count += 1;
        let listening = Listening {
            id: id.clone(),
            announced: waiters.announced.subscribe(),
            shared: Arc::clone(&self.shared),
        };
        if let Some(follower) = state.follower.as_ref().filter(|task| task.runs()) {
            return (listening, follower.started());
        }
        let reader = self.store.reader(Stream::Finished);
        let (queue, shared) = (self.queue.clone(), Arc::clone(&self.shared));
        let follower = Follower::start(&self.store.runtime(), |ready| {
            follow(queue, shared, reader, ready)
        });
        let started = follower.started();
        Follower::forget_if_elsewhere(state.follower.replace(follower));
        (listening, started)
    }
}

/// When this is dropped no caller waits any more, because each has a handle of the queue.
impl Drop for Results {
    fn drop(&mut self) {
        Follower::stop(self.shared.lock().follower.take());
    }
}

/// The task: reads from the end of the stream on, as long as a caller waits.
async fn follow(
    queue: QueueName,
    shared: Arc<Shared>,
    mut reader: Reader,
    ready: watch::Sender<bool>,
) {
    let mut cursor = None;
    let mut silence = Silence::default();
    loop {
        {
            let mut state = shared.lock();
            if state.waiters.is_empty() {
                // Under the lock, so that the next waiter starts another task.
                state.follower = None;
                return;
            }
        }
        let step = match cursor {
            None => reader.youngest().await.map(|end| {
                cursor = Some(end.unwrap_or_default());
                ready.send_replace(true);
            }),
            Some(after) => {
                let entries = reader.read(after, ENTRIES_PER_READ).await;
                entries.map(|entries| {
                    for entry in entries {
                        shared.announce(&entry);
                        cursor = Some(entry.id);
                    }
                })
            }
        };
        match step {
            Ok(()) => _ = silence.ends(),
            Err(trouble) => {
                if silence.goes_on(Instant::now()).log {
                    let queue = queue.as_str();
                    warn!(queue, %trouble, "announcements of results cannot be read; who waits looks now and then");
                }
                sleep(PAUSE).await;
            }
        }
    }
}
