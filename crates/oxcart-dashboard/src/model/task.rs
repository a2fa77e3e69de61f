//! Actions on many jobs, which take a while.

use serde::Serialize;

use crate::model::{JobQuery, Moment};

/// The tasks that this process runs or has run lately, the newest first. They are not stored: a task stops when the process ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tasks {
    /// The tasks.
    pub tasks: Vec<TaskLine>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskLine {
    /// Its number.
    pub id: u64,
    /// The queue whose jobs it changes.
    pub queue: String,
    /// What it does to them: `remove`, `cancel`, `promote` or `replay`.
    pub action: String,
    /// To which jobs.
    pub query: JobQuery,
    /// Whether it only counts the jobs and changes none.
    pub dry_run: bool,
    /// For a replay: at most so many jobs in a second.
    pub per_second: Option<u32>,
    /// For a replay: it ends by itself when more than this percentage of what was replayed fails again.
    pub stop_if_failing_percent: Option<u32>,
    /// Who began it.
    pub operator: String,
    /// How it goes.
    pub state: TaskState,
    /// When it began.
    pub began_at: Moment,
    /// When it ended.
    pub ended_at: Option<Moment>,
    /// How many jobs it looked at so far.
    pub seen: u64,
    /// How many of them match, so far. In a dry run, this is the answer.
    pub matching: u64,
    /// How many were changed.
    pub done: u64,
    /// How many run, and were asked to end.
    pub requested: u64,
    /// How many were left alone: they moved meanwhile, or another job has their unique key.
    pub left_alone: u64,
    /// How many jobs there were in this state when it began: those that match are not more.
    pub of: u64,
    /// Why it failed or stopped early.
    pub trouble: Option<String>,
}

/// How a task goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// It runs.
    Running,
    /// It has dealt with all jobs.
    Ended,
    /// It was stopped, by somebody or by itself.
    Stopped,
    /// It failed.
    Failed,
}

/// A task on a page of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskView {
    /// The task.
    pub task: TaskLine,
}
