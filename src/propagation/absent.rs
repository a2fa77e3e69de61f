//! Without the feature `opentelemetry` no trace goes on through a queue.

use tracing::{Span, info_span};

use crate::error::Error;
use crate::job::attempt::Attempt;
use crate::job::outcome::Outcome;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Relation;

impl Relation {
    pub(crate) const DEFAULT: Self = Self;
}

pub(crate) fn sending(_: &str, _: usize) -> Span {
    Span::none()
}

pub(crate) fn not_sent(_: &Span, _: &Error) {}

pub(crate) fn inject(_: &mut Vec<(String, String)>, _: usize) {}

/// In it handlers and middleware run, so that their own log lines can be found.
pub(crate) fn processing(attempt: &Attempt, _: &[(String, String)], _: Relation) -> Span {
    info_span!(
        "job",
        queue = attempt.queue.as_str(),
        name = attempt.name,
        id = %attempt.id,
        attempt = attempt.number,
        fence = attempt.fence.get(),
    )
}

pub(crate) fn ended(_: &Span, _: &Outcome) {}
