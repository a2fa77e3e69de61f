//! What a job is: its type, its options, its record, its states and its outcomes.

pub(crate) mod failure;
pub(crate) mod history;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod record;
pub(crate) mod state;

use serde::Serialize;
use serde::de::DeserializeOwned;

use options::JobOptions;

/// A type of job: its payload, its name on the wire and what it gives back.
///
/// The payload is stored as MessagePack with named fields, so adding a field that is an
/// `Option` or has `#[serde(default)]` is a compatible change in both directions. The name is
/// part of the stored job: renaming the Rust type changes nothing, changing `NAME` does.
///
/// ```
/// use oxcart::{Backoff, Job, JobOptions};
/// use serde::{Deserialize, Serialize};
/// use std::time::Duration;
///
/// #[derive(Serialize, Deserialize)]
/// struct SendWelcome {
///     user: u64,
/// }
///
/// impl Job for SendWelcome {
///     const NAME: &'static str = "send-welcome";
///     const QUEUE: &'static str = "mail";
///     type Output = ();
///
///     fn options() -> JobOptions {
///         JobOptions::new().attempts(5).timeout(Duration::from_secs(30))
///     }
/// }
/// ```
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The name that producers and workers agree on: 1 to 128 bytes, no white space, no control
    /// characters and none of `: / # ~ { }`.
    const NAME: &'static str;

    /// The queue that [`Oxcart::enqueue`](crate::Oxcart::enqueue) puts it in.
    const QUEUE: &'static str = "default";

    /// What the handler gives back, and [`JobHandle::result`](crate::JobHandle::result) gives
    /// to whoever waits for it. `()` if nothing.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// The options of every job of this type, unless they are changed where it is enqueued.
    #[must_use]
    fn options() -> JobOptions {
        JobOptions::new()
    }
}
