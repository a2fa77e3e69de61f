//! What belongs to one process: a forked process does not use its parent's.

use std::sync::{Arc, Mutex, PoisonError};

/// A value that each process makes for itself. Clones share it.
pub(crate) struct OfProcess<T>(Arc<Mutex<Option<Owned<T>>>>);

/// A forked process has a copy of this. What is in it belongs to its parent.
struct Owned<T> {
    process: u32,
    value: Arc<T>,
}

impl<T> Clone for OfProcess<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for OfProcess<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Default> OfProcess<T> {
    /// This process's own.
    pub(crate) fn get(&self) -> Arc<T> {
        let process = std::process::id();
        let mut owned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(owned) = &*owned
            && owned.process == process
        {
            return Arc::clone(&owned.value);
        }
        // Never dropped: dropping a connection would signal the parent's thread, which this process does not have.
        std::mem::forget(owned.take());
        let value = Arc::<T>::default();
        let of_ours = Owned {
            process,
            value: Arc::clone(&value),
        };
        *owned = Some(of_ours);
        value
    }
}
