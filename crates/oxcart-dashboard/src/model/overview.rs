//! All queues.

use serde::Serialize;

use crate::model::Moment;

/// All queues that the viewer may see.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overview {
    /// The queues, in alphabetical order.
    pub queues: Vec<QueueLine>,
    /// How many of them were not read yet: it takes some seconds where there are many.
    pub unread: u64,
}

/// One queue among others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueLine {
    /// Its name.
    pub queue: String,
    /// When the numbers were read; `None` if they are not known yet, or if the queue cannot be read, and then all are 0.
    pub read_at: Option<Moment>,
    /// Jobs in line.
    pub waiting: u64,
    /// Jobs held back by their group or order.
    pub blocked: u64,
    /// Jobs that are not due yet, or between two attempts.
    pub delayed: u64,
    /// Jobs that run.
    pub active: u64,
    /// Completed and cancelled jobs that are still kept.
    pub completed: u64,
    /// Jobs that failed for good.
    pub dead: u64,
    /// Whether the queue is paused.
    pub paused: bool,
    /// The names whose jobs are paused.
    pub paused_names: Vec<String>,
    /// Until when nothing starts, because a handler was told to wait.
    pub held_until: Option<Moment>,
    /// For how long the oldest job waits, in milliseconds; `None` if none does.
    pub oldest_waiting_ms: Option<u64>,
    /// For how long the lease of a job that runs is over, in milliseconds, if that is so: its worker has died, and no other takes the job
    /// back. `None` if all leases are renewed, or if it was not looked at yet.
    pub lease_over_ms: Option<u64>,
    /// How fast jobs come and end; `None` if it is not known yet.
    pub rates: Option<Rates>,
    /// Jobs that ended in each of the last 30 minutes, the oldest first: for a sparkline. Empty if it is not known yet.
    pub departures: Vec<u64>,
    /// The messages that wait for other queues, by the queue that is to get them. Mostly there are none.
    pub outbox: Vec<OutgoingLine>,
    /// What somebody should look at, in some words each; the gravest first.
    pub problems: Vec<String>,
}

impl QueueLine {
    /// Whether it was not read yet. One that cannot be read has a problem that says so.
    pub(crate) fn is_unread(&self) -> bool {
        self.read_at.is_none() && self.problems.is_empty()
    }
}

/// What a queue has for another queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutgoingLine {
    /// The queue that is to get it.
    pub queue: String,
    /// How many messages wait.
    pub messages: u64,
    /// Since when the oldest of them waits.
    pub since: Moment,
}

/// How fast jobs come and end, in the last 30 minutes or some more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rates {
    /// Jobs that were enqueued or replayed, per second.
    pub arrivals: f64,
    /// Jobs that ended, per second.
    pub departures: f64,
    /// Part of the attempts that failed, 0 to 1; `None` if there were none.
    pub failed: Option<f64>,
    /// How long it takes until no job waits, in milliseconds; `None` if as many jobs come as end, or more.
    pub drain_ms: Option<u64>,
}

impl Rates {
    /// Whether the queue becomes longer, by more than how the minutes happen to fall.
    pub(crate) fn grows(&self) -> bool {
        self.arrivals > self.departures * 1.02
    }
}
