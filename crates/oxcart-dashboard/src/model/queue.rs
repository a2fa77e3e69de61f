//! One queue.

use serde::Serialize;

use crate::model::{Moment, QueueLine};

/// One queue: its numbers, what holds it back, what happened lately.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueView {
    /// The numbers that the overview shows as well.
    pub line: QueueLine,
    /// The job that has waited for longest.
    pub oldest_waiting_id: Option<String>,
    /// How many jobs may start in a period, in words.
    pub rate: Option<String>,
    /// Starts that count against the rate at the moment.
    pub rate_started: u64,
    /// How many jobs may run at a time.
    pub concurrency: Option<u32>,
    /// Since the queue was made.
    pub totals: Totals,
    /// The settings in force.
    pub settings: Vec<SettingLine>,
    /// For how long back the history is known, in milliseconds; a day at most.
    pub covers_ms: u64,
    /// The names of jobs of the last day, the name with the most attempts first.
    pub names: Vec<NameLine>,
    /// The minutes of the last day in which something was written down, the oldest first.
    pub minutes: Vec<MinutePoint>,
    /// How many workers look after it.
    pub workers: u64,
}

/// A setting in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingLine {
    /// Its name.
    pub name: String,
    /// Its value, in words.
    pub value: String,
}

/// What ever happened in a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Jobs that were enqueued.
    pub added: u64,
    /// Jobs that completed.
    pub completed: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Jobs that were not started in time.
    pub expired: u64,
    /// Attempts that failed and were repeated.
    pub retried: u64,
    /// Attempts that were put off by their handler.
    pub snoozed: u64,
    /// Jobs that failed for good.
    pub dead: u64,
    /// Dead jobs that were replayed.
    pub replayed: u64,
    /// Attempts whose worker died.
    pub stalled: u64,
    /// Jobs that were removed.
    pub removed: u64,
    /// Jobs that were not added, because a job with their unique key was there.
    pub duplicates: u64,
    /// Late calls of workers that had lost their job.
    pub refused: u64,
}

/// The jobs of one name, in the last day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NameLine {
    /// The name.
    pub name: String,
    /// Whether jobs of this name are paused.
    pub paused: bool,
    /// Jobs that completed.
    pub completed: u64,
    /// Attempts that failed, and were repeated.
    pub retried: u64,
    /// Jobs that failed for good.
    pub dead: u64,
    /// Jobs that were cancelled while they ran.
    pub cancelled: u64,
    /// How long jobs waited for their first attempt.
    pub wait: Option<Quantiles>,
    /// How long attempts took.
    pub run: Option<Quantiles>,
}

/// Quantiles of times, in milliseconds: so many percent of them are not longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Half of them.
    pub p50_ms: u64,
    /// 95 percent.
    pub p95_ms: u64,
    /// 99 percent.
    pub p99_ms: u64,
}

/// One minute of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MinutePoint {
    /// When it began.
    pub at: Moment,
    /// Jobs that were enqueued or replayed in it.
    pub arrived: u64,
    /// Jobs that ended in it.
    pub departed: u64,
    /// Jobs that waited when it was last looked.
    pub waiting: u64,
}
