//! Without the feature `metrics` nothing is told to anybody, and nothing is kept for it.

use std::time::Duration;

pub(crate) struct WorkerMetrics;

impl WorkerMetrics {
    pub(crate) fn new(_: &str) -> Self {
        Self
    }

    pub(crate) fn ended(&self, _: &str, _: &'static str, _: Option<Duration>, _: Duration) {}

    pub(crate) fn advanced(&self, _: usize, _: usize, _: impl FnOnce() -> (usize, usize)) {}

    pub(crate) fn stalled(&self, _: usize) {}

    pub(crate) fn refused(&self, _: usize) {}
}

pub(crate) fn called(_: &'static str, _: Duration, _: bool) {}

pub(crate) fn enqueued(_: &str, _: usize, _: usize) {}

pub(crate) fn enqueue_failed(_: &str, _: &'static str, _: usize) {}

pub(crate) fn breaker_changed(_: &str, _: &'static str) {}

pub(crate) fn breaker_refused(_: &str) {}
