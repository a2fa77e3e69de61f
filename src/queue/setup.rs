//! What the queues of one connection have in common: where they live, and the settings of the connection.

use std::time::Duration;

use crate::name::Namespace;
use crate::queue::shelf::Shelf;
use crate::store::backend::Backend;

pub(crate) struct Setup {
    pub(crate) backend: Backend,
    pub(crate) namespace: Namespace,
    /// Largest payload and largest result, in bytes.
    pub(crate) payload_max: usize,
    /// How long enqueueing may take.
    pub(crate) call_timeout: Duration,
    pub(crate) shelf: Shelf,
}
