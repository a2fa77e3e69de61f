//! Durable steps in a test of a handler alone: nothing is stored anywhere else.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What a test gives, and what the handler keeps.
#[derive(Debug, Default)]
#[allow(
    dead_code,
    reason = "only tests of applications make one, and these are a feature"
)]
pub(crate) struct Alone {
    /// The values of signals, by name.
    pub(crate) signals: HashMap<String, Vec<u8>>,
    pub(crate) cursor: Mutex<Option<Vec<u8>>>,
}

impl Alone {
    pub(crate) fn signal(&self, name: &str) -> Option<Vec<u8>> {
        self.signals.get(name).cloned()
    }

    pub(crate) fn checkpoint(&self, value: Vec<u8>) {
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }

    pub(crate) fn cursor(&self) -> Option<Vec<u8>> {
        let cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        cursor.clone()
    }
}
