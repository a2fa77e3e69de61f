//! What is known of a job, and how many there are.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::codec::{self, Dialect};
use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::history::{Counters, FailedAttempt};
use crate::job::outcome::{DeadReason, Ending};
use crate::job::record::Record;
use crate::job::state::State;
use crate::store::counts::Counted;
use crate::store::get::Found;
use crate::time::Timestamp;

/// All that is known of one job.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobInfo {
    /// The id.
    pub id: JobId,
    /// The name of its type.
    pub name: String,
    /// Where it is.
    pub state: State,
    /// When Redis got it.
    pub enqueued_at: Timestamp,
    /// 0 (most urgent) to 1023.
    pub priority: u16,
    /// How often it is tried.
    pub attempts: u32,
    /// Attempts that failed since it was enqueued or replayed.
    pub failed: u32,
    /// How often its worker died while it ran.
    pub stalls: u32,
    /// How often no handler could take it.
    pub bounces: u32,
    /// When it becomes due, if it is delayed.
    pub due_at: Option<Timestamp>,
    /// When its worker took it, if it is active.
    pub claimed_at: Option<Timestamp>,
    /// When its lease runs out unless it is extended, if it is active.
    pub lease_until: Option<Timestamp>,
    /// The worker that runs it, if it is active: an id that each worker makes when it is built.
    pub worker: Option<String>,
    /// How and when it ended, if it did.
    pub ended: Option<(Timestamp, Ended)>,
    /// What went wrong, oldest first; the last 20 attempts.
    pub history: Vec<FailedAttempt>,
    /// What was sent along.
    pub headers: Vec<(String, String)>,
    /// Time limit of an attempt.
    pub timeout: Option<Duration>,
    payload: Vec<u8>,
    dialect: Dialect,
    progress: Option<Vec<u8>>,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// Its handler succeeded.
    Completed,
    /// Its handler discarded it, with the reason.
    Cancelled(String),
    /// It is on the dead-letter list.
    Dead(DeadReason),
}

impl JobInfo {
    pub(crate) fn decode(id: &JobId, found: Found) -> Result<Self, Error> {
        let state = State::parse(&found.state).ok_or_else(|| {
            Error::new(
                ErrorKind::Incompatible,
                format!("job {id} is in state `{}`, unknown here", found.state),
            )
        })?;
        let record = Record::decode(&found.record, found.payload)?;
        let counters = found.counters.as_deref().map(Counters::decode);
        let counters = counters.transpose()?.unwrap_or_default();
        let time = || {
            let ms = found.score.parse::<f64>().unwrap_or_default();
            Timestamp::from_millis(ms as u64)
        };
        let ended = match &found.outcome {
            None => None,
            Some(outcome) => {
                let (at, ending) = Ending::decode(outcome)?;
                Some((
                    at,
                    match ending {
                        Ending::Ok(_) | Ending::OldOk(_) => Ended::Completed,
                        Ending::Cancelled(reason) => Ended::Cancelled(reason),
                        Ending::Dead(reason) => Ended::Dead(reason),
                    },
                ))
            }
        };
        let claim = found.claim.as_deref().and_then(Claim::decode);
        Ok(Self {
            id: id.clone(),
            state,
            enqueued_at: record.enqueued_at,
            priority: record.priority,
            attempts: record.attempts,
            failed: counters.failed,
            stalls: found.stalls.as_deref().map_or(0, number),
            bounces: counters.bounces,
            due_at: (state == State::Delayed).then(time),
            claimed_at: claim.as_ref().map(|claim| claim.since),
            lease_until: (state == State::Active).then(time),
            worker: claim.map(|claim| claim.worker),
            ended,
            history: found
                .history
                .iter()
                .map(|entry| FailedAttempt::decode(entry))
                .collect::<Result<_, _>>()?,
            headers: record.headers,
            timeout: record.timeout,
            name: record.name,
            payload: record.payload,
            dialect: record.dialect,
            progress: found.progress,
        })
    }

    /// The payload, as the type it was enqueued as (or any other that can be read from it).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if it cannot be read as a `T`.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Error> {
        codec::decode("a job's payload", &self.payload, self.dialect)
            .map_err(|error| error.with_job(&self.id))
    }

    /// What the handler last said about its progress, if it said anything: the handler of the attempt under
    /// way, or of the one with which the job ended. What an earlier attempt said is dropped when that
    /// attempt is over, be it that it failed or that its worker died.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if it cannot be read as a `T`.
    pub fn progress<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        let decode = |bytes: &Vec<u8>| codec::decode_either("a job's progress", bytes);
        self.progress
            .as_ref()
            .map(decode)
            .transpose()
            .map_err(|error| error.with_job(&self.id))
    }
}

/// `first fence · since · worker`, as `lib/lease.lua` writes it.
struct Claim {
    since: Timestamp,
    worker: String,
}

impl Claim {
    fn decode(claim: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(claim).ok()?.split(' ');
        let _first_fence = words.next()?;
        Some(Self {
            since: Timestamp::from_millis(words.next()?.parse().ok()?),
            worker: words.next()?.to_owned(),
        })
    }
}

fn number(digits: &[u8]) -> u32 {
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

/// How many jobs are in each state, and how much ever happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// In line, suspects among them.
    pub waiting: u64,
    /// Not due yet.
    pub delayed: u64,
    /// Being worked on.
    pub active: u64,
    /// Finished and still kept.
    pub completed: u64,
    /// On the dead-letter list.
    pub dead: u64,
    /// Whether claims are stopped.
    pub paused: bool,
    /// What ever happened.
    pub totals: Totals,
}

/// What ever happened in a queue. Only grows, unless Redis loses data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Jobs enqueued.
    pub added: u64,
    /// Jobs completed.
    pub completed: u64,
    /// Jobs discarded by their handlers.
    pub cancelled: u64,
    /// Attempts that failed and were to be repeated.
    pub retried: u64,
    /// Jobs that became dead.
    pub dead: u64,
    /// Dead jobs put back in line.
    pub replayed: u64,
    /// Attempts whose worker died.
    pub stalled: u64,
    /// Jobs removed.
    pub removed: u64,
    /// Ids in line whose record was gone: somebody else wrote to the queue's keys.
    pub without_record: u64,
    /// Late calls of attempts that had lost their job, which changed nothing.
    pub refused: u64,
    /// Ids that were made for a job and were those of other jobs: two producers made the same
    /// one, which cannot be. Not zero: look for errors in the logs of the producers.
    pub clashed: u64,
}

impl Counts {
    /// Jobs that have not ended: waiting, delayed or active.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.waiting + self.delayed + self.active
    }

    pub(crate) fn from_counted(counted: &Counted) -> Self {
        let find = |list: &[(String, u64)], name: &str| {
            list.iter()
                .find(|(n, _)| n == name)
                .map(|(_, count)| *count)
        };
        let state = |state: State| find(&counted.states, state.as_str()).unwrap_or(0);
        let total = |name: &str| find(&counted.totals, name).unwrap_or(0);
        Self {
            waiting: state(State::Waiting),
            delayed: state(State::Delayed),
            active: state(State::Active),
            completed: state(State::Completed),
            dead: state(State::Dead),
            paused: find(&counted.totals, "paused").is_some(),
            totals: Totals {
                added: total("added"),
                completed: total("completed"),
                cancelled: total("cancelled"),
                retried: total("retried"),
                dead: total("dead"),
                replayed: total("replayed"),
                stalled: total("stalled"),
                removed: total("removed"),
                without_record: total("orphans"),
                refused: total("refused"),
                clashed: total("clashed"),
            },
        }
    }
}
