//! What operators did, and what somebody should look at.

use serde::Serialize;

use crate::model::Moment;

/// What operators did to a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The queue.
    pub queue: String,
    /// The entries, the last first.
    pub entries: Vec<AuditLine>,
    /// The number before which the next page begins; `None` if this is the last one.
    pub next: Option<u64>,
}

/// One thing that an operator did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    /// Counts up from 1.
    pub number: u64,
    /// When.
    pub at: Moment,
    /// Who.
    pub operator: String,
    /// What: `replay`, `remove`, `pause`, ..
    pub action: String,
    /// To what.
    pub target: String,
    /// `asked`, `began`, `ended` or `other`.
    pub phase: &'static str,
    /// How many jobs it has changed.
    pub jobs: Option<u64>,
}

/// What is wrong at the moment: the problems of all queues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alerts {
    /// The alerts, the gravest first.
    pub alerts: Vec<AlertLine>,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertLine {
    /// The queue.
    pub queue: String,
    /// What is wrong.
    pub text: String,
    /// Since when, if it is known.
    pub since: Option<Moment>,
}
