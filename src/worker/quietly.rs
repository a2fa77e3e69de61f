//! Dropping what an application made, whatever its `Drop` does.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Drops the payload of a panic. If that panics too, the payload of the second panic is forgotten, and
/// not dropped: it might panic again, and so on for ever.
pub(crate) fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}
