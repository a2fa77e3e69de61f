//! Which job an attempt runs, and which of its attempts it is.

use crate::id::{Fence, JobId};
use crate::name::QueueName;

/// One attempt to run a job: which job it is, and which of its attempts.
///
/// A handler reads it from its [`Context`](crate::Context), middleware too; a
/// [`WorkerEvent`](crate::WorkerEvent) carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The queue of the job.
    pub queue: QueueName,
    /// The name of its type; `unreadable` if the stored job cannot be read here.
    pub name: String,
    /// The id of the job.
    pub id: JobId,
    /// Which attempt this is, from 1, since the job was enqueued or replayed. Stalled attempts do not count.
    pub number: u32,
    /// How many attempts the job has in all.
    pub attempts: u32,
    /// How many attempts went wrong before this one, also before the job was replayed, and those of workers that died: those which the
    /// [history](crate::Queue::history) counts.
    pub earlier: u64,
    /// How often a worker died while it ran this job.
    pub stalls: u32,
    /// How often a handler has put this job off ([`Failure::snooze`](crate::Failure::snooze)), since it was enqueued or replayed.
    pub snoozes: u32,
    /// Larger than the fence of every earlier attempt.
    pub fence: Fence,
}
