//! What each page shows, as plain values: the pages render exactly these, and the JSON API answers exactly these.

mod dead;
mod job;
mod moment;
mod overview;
mod queue;
mod schedule;
mod task;
mod watch;
mod worker;

pub use dead::{DeadGroupLine, DeadGroups};
pub use job::{
    AttemptLine, ChildLine, Ended, JobLine, JobList, JobQuery, JobView, LogLine, SagaView, StepLine,
};
pub use moment::Moment;
pub use overview::{OutgoingLine, Overview, QueueLine, Rates};
pub use oxcart::JobState;
pub use queue::{MinutePoint, NameLine, Quantiles, QueueView, SettingLine, Totals};
pub use schedule::{ScheduleLine, Schedules, TickOutcome};
pub use task::{TaskLine, TaskState, TaskView, Tasks};
pub use watch::{AlertLine, Alerts, Audit, AuditLine, RuleLine, RuleState};
pub use worker::{Running, WorkerLine, Workers};
