//! What one attempt knows of its saga.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::job::failure::Failure;
use crate::worker::context::Context;
use crate::worker::saga::undo::AnyUndo;
use crate::worker::steps::{Store, trouble};

/// The course of a saga in one attempt: the steps that the handler has reached, and what undoes them. It outlives the handler, which may be
/// dropped in the middle of a step.
#[derive(Default)]
pub(crate) struct Course {
    reached: Mutex<BTreeMap<u32, Reached>>,
    /// The numbers of its steps that the handler has called.
    called: Mutex<BTreeSet<u32>>,
    /// The handler has ended, and undos run.
    undoes: AtomicBool,
    has_begun: AtomicBool,
    has_refused: AtomicBool,
}

/// A step that was done, in this attempt or before.
#[derive(Clone)]
pub(crate) struct Reached {
    pub(crate) name: String,
    pub(crate) undo: Option<Arc<dyn AnyUndo>>,
    /// What it gave, as it is stored.
    pub(crate) value: Vec<u8>,
}

impl Course {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Reached>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn called(&self, number: u32) {
        self.called
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(number);
    }

    /// Whether the handler has called this step, and did not come to its output.
    pub(crate) fn has_left(&self, number: u32) -> bool {
        let called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        called.contains(&number) && !self.lock().contains_key(&number)
    }

    /// From here on undos run, which have no steps of their own.
    pub(crate) fn begin_undos(&self) {
        self.undoes.store(true, Relaxed);
    }

    pub(crate) fn undoes(&self) -> bool {
        self.undoes.load(Relaxed)
    }

    /// A step is undone already: the saga cannot be finished any more, whatever the handler gives back.
    pub(crate) fn meets_undone(&self) {
        self.has_refused.store(true, Relaxed);
    }

    pub(crate) fn reached(&self, number: u32, step: Reached) {
        self.lock().insert(number, step);
    }

    /// The last one first.
    pub(crate) fn in_reverse(&self) -> Vec<(u32, Reached)> {
        let reached = self.lock();
        let steps = reached.iter().rev();
        steps
            .map(|(number, step)| (*number, step.clone()))
            .collect()
    }

    /// A step of this attempt has begun.
    pub(crate) fn began(&self) {
        self.has_begun.store(true, Relaxed);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.load(Relaxed)
    }

    /// Whether a step was refused because the saga is to be undone.
    pub(crate) fn has_refused(&self) -> bool {
        self.has_refused.load(Relaxed)
    }

    /// No step begins, and nothing is waited for, once the saga is to be undone.
    pub(crate) async fn refuse_if_undoing(
        &self,
        context: &Context,
        store: &Store,
    ) -> Result<(), Failure> {
        let known = store.known(context.steps()).await.map_err(trouble)?;
        let requested = || context.cancel_reason().map(str::to_owned);
        match known.undoing().or_else(requested) {
            None => Ok(()),
            Some(why) => {
                self.has_refused.store(true, Relaxed);
                Err(Failure::cancel(why))
            }
        }
    }
}
