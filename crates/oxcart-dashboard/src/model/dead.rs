//! What jobs died of.

use serde::Serialize;

use crate::model::Moment;

/// The dead letters of a queue, by what they died of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadGroups {
    /// Their queue.
    pub queue: String,
    /// The groups, the largest first.
    pub groups: Vec<DeadGroupLine>,
    /// How many dead letters there are.
    pub dead: u64,
    /// How many of them were read to make the groups: those that died first.
    pub read: u64,
}

/// Dead letters with the same name and the same error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadGroupLine {
    /// The same for all of them.
    pub fingerprint: String,
    /// The name of the jobs.
    pub name: String,
    /// How many there are.
    pub count: u64,
    /// When the first of them died.
    pub first_at: Moment,
    /// When the last of them died.
    pub last_at: Moment,
    /// The error of the job that died last.
    pub sample: String,
    /// The job that died last.
    pub sample_id: String,
}
