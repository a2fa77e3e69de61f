//! Schedules.

use serde::Serialize;

use crate::model::{JobState, Moment};

/// The schedules of a queue, or of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Schedules {
    /// The queue; `None` for all.
    pub queue: Option<String>,
    /// The schedules, by queue and name.
    pub schedules: Vec<ScheduleLine>,
    /// Queues that were not looked at, because there are too many.
    pub left_out: u64,
}

/// One schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScheduleLine {
    /// Its queue.
    pub queue: String,
    /// Its name.
    pub name: String,
    /// When it ticks, in words: `0 3 * * * (Europe/Berlin)`, `every 5m`.
    pub rhythm: Option<String>,
    /// The name of the jobs that it makes.
    pub job: Option<String>,
    /// When it ticks next.
    pub next_tick: Option<Moment>,
    /// When it ticked last.
    pub last_tick: Option<Moment>,
    /// What came of the last tick.
    pub last_outcome: Option<TickOutcome>,
    /// The job that it made last.
    pub last_job: Option<String>,
    /// The state of that job; `None` if it is not known any more.
    pub last_job_state: Option<JobState>,
    /// Ticks that made a job.
    pub fired: u64,
    /// Ticks that were too late.
    pub missed: u64,
    /// Ticks that made no job, because the job before was not over.
    pub overlapped: u64,
    /// Whether it is paused.
    pub paused: bool,
    /// Why it cannot be read, if so.
    pub unreadable: Option<String>,
}

/// What came of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TickOutcome {
    /// It made a job.
    Fired,
    /// The job before was not over.
    Overlapped,
    /// It came too late.
    Missed,
    /// What this version does not know.
    Other,
}
