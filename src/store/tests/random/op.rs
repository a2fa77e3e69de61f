//! What a random sequence is made of. Operations name jobs, claims and lanes by small numbers,
//! which the world turns into whatever there is by then: so any part of a sequence is a sequence,
//! and a failing one shrinks.

use std::fmt::Debug;
use std::sync::Arc;

use super::reads::Page;
use super::world::{World, Wrong};
use crate::job::options::JobOptions;
use crate::job::state::State;
use crate::policy::order::{OnFailure, Order};
use crate::policy::settings::QueueSettings;
use crate::store::advance::Suspects;
use crate::store::configure::By;
use crate::store::orphans::How as Restore;
use crate::store::recover::Doubt;

/// Ids are few, so that they meet again.
pub(crate) const IDS: u8 = 10;
pub(crate) const PRODUCERS: u8 = 2;
pub(crate) const WORKERS: u8 = 3;
pub(crate) const SCHEDULES: u8 = 2;
/// Names by which jobs are handed back, for workers that have handlers for them.
pub(crate) const NAMES: [&str; 3] = ["mail", "mail-bulk", "report"];

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Enqueue {
        lane: u8,
        jobs: Vec<New>,
    },
    /// Many at once: more than one call promotes or trims.
    Flood {
        lane: u8,
        jobs: u8,
        delay_ms: Option<u64>,
        priority: Option<u16>,
        gate: Option<Gated>,
    },
    Advance(Turn),
    /// A worker has a handler for none of the last jobs that were claimed.
    HandAllBack {
        worker: u8,
        name: &'static str,
        after_ms: u64,
    },
    /// A worker takes one job of a name, and some time passes until the others are looked after.
    Busy {
        worker: u8,
        name: &'static str,
        ms: u64,
    },
    /// The last call of a lane once more: its answer was lost.
    Repeat {
        lane: u8,
    },
    /// A lane asks whether its last call ran; or whether its next one did, which has been lost on its
    /// way, and comes late.
    Question {
        lane: u8,
        lost: bool,
    },
    /// A call of a lane under a number that has passed.
    Late {
        lane: u8,
    },
    Extend {
        claims: Vec<u8>,
        stale: bool,
        lease_ms: u64,
    },
    Progress {
        claim: u8,
        stale: bool,
        bytes: usize,
    },
    Recover {
        limit: usize,
        lease_ms: u64,
        off_ms: u64,
        gap_ms: u64,
        quiet_ms: u64,
        doubt: Doubt,
    },
    Promote {
        limit: usize,
        worker: u8,
        hold: bool,
    },
    /// Stores a schedule, or changes it.
    Schedule(Change),
    Unschedule {
        name: u8,
    },
    /// Fires ticks, as they are or as they are not any more.
    Fire {
        worker: u8,
        hold: bool,
        entries: Vec<Ticks>,
        /// What is left of those that are due cannot be read.
        pass: bool,
    },
    Schedules {
        ask: Ask,
    },
    /// An operator deletes the next tick of a schedule, or of all, or writes another one there.
    Lose {
        name: Option<u8>,
        other: bool,
    },
    /// Looks for what was lost, and for this schedule.
    Tend {
        worker: u8,
        hold: bool,
        name: u8,
    },
    Trim {
        limit: usize,
        lane_ttl_ms: u64,
    },
    Replay {
        ids: Vec<u8>,
    },
    /// In any state, or only in this one.
    Remove {
        ids: Vec<u8>,
        only_in: Option<State>,
    },
    /// Deletes the queue, whatever it holds or only if it holds no open jobs, dead letters or schedules.
    Delete {
        all: bool,
    },
    /// An operator deletes one of the lists, and its jobs are put back or removed.
    LoseList {
        place: usize,
        how: Restore,
    },
    /// All that waits and all schedules are removed, the leases run out, what was kept is dropped, and the queue is to be
    /// deleted.
    Outlive {
        max_stalls: u32,
    },
    Watch {
        id: u8,
        await_ms: u64,
    },
    Get {
        id: u8,
    },
    /// A page of the jobs in one state.
    List(Page),
    Counts,
    /// An operator changes the settings of the queue.
    Configure {
        by: By,
        said: QueueSettings,
    },
    /// And reads them.
    Settings,
    Pause,
    Resume,
    /// An idle worker takes the wake-up token.
    Pop,
    Pass {
        ms: u64,
    },
    /// The server's clock is set back.
    Back {
        ms: u64,
    },
    /// What a file of its own says.
    Other(Arc<dyn Operation>),
}

/// An operation that stands in one file, beside the tests of its verb: what it is made of, and what it does.
pub(crate) trait Operation: Debug {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong>;
}

/// A job to be added.
#[derive(Debug, Clone)]
pub(crate) struct New {
    pub(crate) id: u8,
    pub(crate) delay_ms: Option<u64>,
    /// The delay is meant as a moment.
    pub(crate) at: bool,
    pub(crate) priority: Option<u16>,
    pub(crate) front: bool,
    pub(crate) await_ms: Option<u64>,
    pub(crate) bytes: usize,
    pub(crate) gate: Option<Gated>,
}

/// A group, or an order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Gated {
    Group(&'static str),
    Order(&'static str, OnFailure),
}

impl Gated {
    pub(crate) fn on(self, options: JobOptions) -> JobOptions {
        match self {
            Self::Group(key) => options.group(key),
            Self::Order(key, on_failure) => {
                options.ordered_by(Order::by(key).on_failure(on_failure))
            }
        }
    }
}

/// A change of a schedule. One that is not there is always defined.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) name: u8,
    pub(crate) stale: bool,
    pub(crate) paused: bool,
    /// When it ticks next, from now; none: it does not.
    pub(crate) tick_ms: Option<i64>,
    pub(crate) keep_tick: bool,
    /// Only if the next tick is still as it was seen; that is so, or it was another one.
    pub(crate) compare: Option<bool>,
    pub(crate) define: bool,
    pub(crate) bytes: usize,
}

/// Ticks of one schedule.
#[derive(Debug, Clone)]
pub(crate) struct Ticks {
    pub(crate) name: u8,
    /// It has changed since it was seen, or has another next tick.
    pub(crate) stale: bool,
    pub(crate) other_tick: bool,
    pub(crate) ticks: u64,
    pub(crate) delay_ms: u64,
    pub(crate) missed: u64,
    /// Between two ticks, and to the next.
    pub(crate) every_ms: Option<u64>,
    pub(crate) limit: Option<u64>,
    pub(crate) no_overlap: bool,
    pub(crate) priority: Option<u16>,
    pub(crate) front: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask {
    Named { name: u8 },
    Due { offset: usize, limit: usize },
    All,
}

/// One call of a worker.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) worker: u8,
    pub(crate) settle: Vec<End>,
    pub(crate) claim: usize,
    pub(crate) claim_bytes: usize,
    pub(crate) suspects: Suspects,
    pub(crate) lease_ms: u64,
    pub(crate) hold: bool,
    /// It asks for jobs that were handed back with these of the names.
    pub(crate) handlers: Option<Vec<&'static str>>,
    /// It has heard the last news of them.
    pub(crate) heard: bool,
    pub(crate) again: bool,
    /// It asks for jobs with traits.
    pub(crate) traits: bool,
    /// It only asks whether the call ran.
    pub(crate) ask: bool,
}

impl Turn {
    /// One that claims nothing.
    pub(crate) fn settling(worker: u8) -> Self {
        Self {
            worker,
            settle: Vec::new(),
            claim: 0,
            claim_bytes: 0,
            suspects: Suspects::default(),
            lease_ms: 1_000,
            hold: true,
            handlers: None,
            heard: false,
            again: false,
            traits: false,
            ask: false,
        }
    }
}

/// The end of an attempt.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) claim: u8,
    pub(crate) stale: bool,
    pub(crate) how: How,
    pub(crate) keep_ms: Option<u64>,
    /// Its worker has heard of a request to cancel the job, or believes that it has.
    pub(crate) is_requested: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    Complete,
    Cancel,
    Retry { after_ms: u64 },
    Snooze { after_ms: u64 },
    Die,
    Release,
    Bounce { after_ms: u64 },
    HandBack { name: &'static str, after_ms: u64 },
}
