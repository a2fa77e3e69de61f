//! What the handles of one queue share: the task that sends for it, the callers that wait for results, and
//! the requests to cancel jobs of which its workers are to hear.
//!
//! It is kept for a while after the last handle is gone, because the next one may be there in a
//! moment: a program that enqueues by type alone makes a handle for each job. It has no reference to the
//! `Oxcart` that the queue belongs to, so the two do not keep each other alive.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::sleep;

use crate::name::QueueName;
use crate::policy::durability::Level;
use crate::queue::cancel_requests::CancelRequests;
use crate::queue::known_rate::KnownRate;
use crate::queue::producer::{Producer, Promise};
use crate::queue::results::Results;
use crate::runtime;
use crate::store::backend::Store;

/// The shared parts of a queue are dropped when it had no handle for this long, or at most for twice as
/// long.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// What the handles of one queue share.
pub(crate) struct Parts {
    pub(crate) store: Store,
    /// What sends jobs, for each level of durability that was asked for.
    plain: Arc<Producer>,
    durable: Mutex<HashMap<Level, Arc<Producer>>>,
    name: QueueName,
    pub(crate) results: Results,
    pub(crate) cancel_requests: CancelRequests,
    pub(crate) known_rate: KnownRate,
    /// This process has put the name on its list.
    pub(crate) is_listed: AtomicBool,
}

impl Parts {
    fn new(store: Store, name: &QueueName) -> Self {
        Self {
            plain: Arc::new(Producer::new(store.clone(), name.clone())),
            durable: Mutex::default(),
            name: name.clone(),
            results: Results::new(store.clone(), name.clone()),
            cancel_requests: CancelRequests::new(store.clone(), name.clone()),
            known_rate: KnownRate::default(),
            is_listed: AtomicBool::new(false),
            store,
        }
    }

    /// What sends jobs that are to be as safe as this, and says within this time whether they are. Each level has a task and a connection of
    /// its own, for a connection that waits for a disk holds up all that is behind it.
    pub(crate) fn producer(&self, level: Level, within: Duration) -> Arc<Producer> {
        if level == Level::MEMORY {
            return Arc::clone(&self.plain);
        }
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        let producer = durable.entry(level).or_insert_with(|| {
            let (store, name) = (self.store.clone(), self.name.clone());
            Arc::new(Producer::durable(store, name, Promise { level, within }))
        });
        Arc::clone(producer)
    }
}

/// The parts of all queues of one connection. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Shelf {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    parts: HashMap<QueueName, Entry>,
    /// A task runs that looks for parts of queues without a handle.
    is_swept: bool,
}

struct Entry {
    parts: Arc<Parts>,
    /// There was no handle when the task last looked.
    was_idle: bool,
}

impl Shelf {
    /// Whether both are of one connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.kept, &other.kept)
    }

    /// The parts of the queue of this name, made if they are not there.
    pub(crate) fn parts(&self, name: &QueueName, store: impl FnOnce() -> Store) -> Arc<Parts> {
        let mut kept = lock(&self.kept);
        if let Some(entry) = kept.parts.get_mut(name) {
            entry.was_idle = false;
            return Arc::clone(&entry.parts);
        }
        let parts = Arc::new(Parts::new(store(), name));
        match &parts.store {
            Store::Redis(_) if !kept.is_swept => {
                kept.is_swept = true;
                runtime::handle().spawn(sweep(Arc::downgrade(&self.kept)));
            }
            Store::Redis(_) => {}
            // Parts of queues in memory cost nothing to make again, so they are dropped at once.
            Store::Memory(_) => kept.parts.retain(|_, entry| entry.is_in_use()),
        }
        let entry = Entry {
            parts: Arc::clone(&parts),
            was_idle: false,
        };
        kept.parts.insert(name.clone(), entry);
        parts
    }
}

impl Entry {
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.parts) > 1
    }
}

impl Kept {
    /// Lets go of what has been idle since the last time.
    fn sweep(&mut self) -> Vec<Arc<Parts>> {
        let idle = self.parts.extract_if(|_, entry| {
            let is_idle = !entry.is_in_use();
            let was_idle = std::mem::replace(&mut entry.was_idle, is_idle);
            is_idle && was_idle
        });
        idle.map(|(_, entry)| entry.parts).collect()
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn sweep(kept: Weak<Mutex<Kept>>) {
    loop {
        sleep(KEPT_FOR).await;
        let Some(kept) = kept.upgrade() else {
            return;
        };
        let mut open = lock(&kept);
        let idle = open.sweep();
        let is_empty = open.parts.is_empty();
        open.is_swept = !is_empty;
        drop(open);
        drop(idle);
        if is_empty {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Server;

    #[tokio::test]
    async fn g8_what_handles_share_outlives_the_last_of_them_for_a_while() {
        let (shelf, server) = (Shelf::default(), Server::default());
        let name = QueueName::new("work").unwrap();
        let parts = || shelf.parts(&name, || Store::Memory(server.queue(&name)));
        let first = parts();
        let sweep = || lock(&shelf.kept).sweep().len();
        assert_eq!([sweep(), sweep()], [0, 0]);
        let known = Arc::as_ptr(&first);
        drop(first);
        assert_eq!(sweep(), 0);
        assert_eq!(Arc::as_ptr(&parts()), known);
        assert_eq!([sweep(), sweep()], [0, 1]);
        assert!(lock(&shelf.kept).parts.is_empty());
    }
}
