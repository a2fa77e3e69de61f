//! What was read lately, by what was asked for: all who ask for the same share one reading.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as Turn;

/// A value and when it was last tried to read it.
pub(super) struct Kept<V> {
    pub(super) value: V,
    tried_at: Instant,
}

impl<V> Kept<V> {
    pub(super) fn new(value: V) -> Self {
        Self {
            value,
            tried_at: Instant::now(),
        }
    }

    /// Whether that was before this moment.
    pub(super) fn is_older_than(&self, moment: Option<Instant>) -> bool {
        moment.is_some_and(|moment| self.tried_at < moment)
    }

    pub(super) fn is_younger_than(&self, age: Duration) -> bool {
        self.tried_at.elapsed() < age
    }
}

/// The place of one value. The task that reads it holds the lock, and the others wait for that reading.
pub(super) type Slot<V> = Arc<Turn<Option<Kept<V>>>>;

pub(super) struct Shelf<K, V> {
    at_most: usize,
    slots: Mutex<HashMap<K, (Instant, Slot<V>)>>,
}

impl<K: Clone + Eq + Hash, V> Shelf<K, V> {
    pub(super) fn new(at_most: usize) -> Self {
        Self {
            at_most,
            slots: Mutex::default(),
        }
    }

    /// The place for this key. What was used longest ago makes room for it.
    pub(super) fn slot(&self, key: &K) -> Slot<V> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((used_at, slot)) = slots.get_mut(key) {
            *used_at = Instant::now();
            return Arc::clone(slot);
        }
        if slots.len() >= self.at_most {
            let oldest = slots.iter().min_by_key(|(_, (used_at, _))| *used_at);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                slots.remove(&oldest);
            }
        }
        let slot = Slot::default();
        slots.insert(key.clone(), (Instant::now(), Arc::clone(&slot)));
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_is_room_for_so_many() {
        let shelf: Shelf<u32, u32> = Shelf::new(2);
        *shelf.slot(&1).lock().await = Some(Kept::new(10));
        *shelf.slot(&2).lock().await = Some(Kept::new(20));
        assert!(shelf.slot(&1).lock().await.is_some());
        assert!(shelf.slot(&3).lock().await.is_none());
        assert!(shelf.slot(&1).lock().await.is_some());
        assert!(shelf.slot(&2).lock().await.is_none(), "it made room");
    }
}
