//! Workers, and what runs.

use serde::Serialize;

use crate::model::{JobLine, Moment};

/// The workers of a queue, or of all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Workers {
    /// The queue; `None` for all.
    pub queue: Option<String>,
    /// The workers, by queue, and then in the order in which they were started.
    pub workers: Vec<WorkerLine>,
    /// Queues that were not looked at, because there are too many.
    pub left_out: u64,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkerLine {
    /// Its queue.
    pub queue: String,
    /// Its id.
    pub id: String,
    /// The machine on which it runs.
    pub host: String,
    /// The id of its process there.
    pub process: u32,
    /// The version of the library.
    pub version: String,
    /// How many jobs it runs at a time.
    pub concurrency: u64,
    /// The names of the jobs for which it has a handler.
    pub handlers: Vec<String>,
    /// When it was started.
    pub started_at: Moment,
    /// When it last said that it is there: about once a minute.
    pub seen_at: Moment,
    /// How many jobs it runs.
    pub running: u64,
}

/// Jobs that run now, of a queue or of all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Running {
    /// The queue; `None` for all.
    pub queue: Option<String>,
    /// The jobs, longest running first.
    pub jobs: Vec<JobLine>,
    /// How many run in all.
    pub active: u64,
    /// Queues that were not looked at, because there are too many.
    pub left_out: u64,
}
