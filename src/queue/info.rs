//! What is known of a job, and how many there are.

mod payload;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::claim_check::ticket::Ticket;
use crate::codec::{self, Dialect};
use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::head::fields_of;
use crate::job::history::{Counters, FailedAttempt};
use crate::job::outcome::{DeadReason, Ending};
use crate::job::record::Record;
use crate::job::state::State;
use crate::job::traits::{child_of, expiry_of};
use crate::policy::job_names::paused_in;
use crate::policy::limits::{Rate, RateWindow};
use crate::policy::order::OnFailure;
use crate::policy::settings::SettingsInForce;
use crate::store::counts::Counted;
use crate::store::get::Found;
use crate::time::Timestamp;

/// All that is known of one job, read in one call.
#[derive(Clone)]
#[non_exhaustive]
pub struct JobInfo {
    /// The id.
    pub id: JobId,
    /// The name of its type.
    pub name: String,
    /// Its state.
    pub state: State,
    /// When Redis got it.
    pub enqueued_at: Timestamp,
    /// 0 (most urgent) to 1023.
    pub priority: u16,
    /// How often it is tried at most.
    pub attempts: u32,
    /// Attempts that failed since it was enqueued or replayed.
    pub failed: u32,
    /// How often its worker died while it ran.
    pub stalls: u32,
    /// Its group, if it has one.
    pub group: Option<String>,
    /// Its order key, if it has one.
    pub order: Option<String>,
    /// What it does to the jobs behind it with the same order key when it fails, if it has an order key. A dead job with
    /// [`OnFailure::Halt`] holds back the jobs of its key until it is replayed or removed.
    pub on_failure: Option<OnFailure>,
    /// Its unique key, if it has one.
    pub unique: Option<String>,
    /// The job that waits for it, if it is of a [flow](crate::Flow).
    pub parent: Option<JobId>,
    /// The queue of that job, if it is another one.
    pub parent_queue: Option<String>,
    /// For how many jobs it waits, or has waited ([`Queue::children`](crate::Queue::children)).
    pub children: u64,
    /// How often no handler could take it.
    pub bounces: u32,
    /// How often a handler has put it off ([`Failure::snooze`](crate::Failure::snooze)) since it was enqueued or replayed.
    pub snoozes: u32,
    /// How many jobs stand before it in line, if it waits there: 0 is the next one to be claimed. Only [`Queue::job`](crate::Queue::job)
    /// looks it up. It does not count jobs that are due and not in line yet. `None` for a job that waits apart from the line: its worker
    /// died on it before, a worker has no handler of its name, or its name is paused.
    pub position: Option<u64>,
    /// When it is over if no worker has taken it by then, if it [expires](crate::JobOptions::expires_in).
    pub expires_at: Option<Timestamp>,
    /// When it becomes due, if it is delayed.
    pub due_at: Option<Timestamp>,
    /// When its worker took it, if it is active.
    pub claimed_at: Option<Timestamp>,
    /// When its lease runs out unless it is extended, if it is active.
    pub lease_until: Option<Timestamp>,
    /// The worker that runs it, if it is active: an id that each worker makes when it is built.
    pub worker: Option<String>,
    /// When it ended, if it did.
    pub ended_at: Option<Timestamp>,
    /// How it ended, if it did.
    pub ended: Option<Ended>,
    /// What went wrong, oldest first; the last 20 attempts.
    pub history: Vec<FailedAttempt>,
    /// The headers that were sent along.
    pub headers: Vec<(String, String)>,
    /// Time limit of an attempt.
    pub timeout: Option<Duration>,
    /// What a start of it counts against the rate that is set for its queue.
    pub weight: u32,
    /// Fields of the payload that are not shown ([`Job::SECRET`](crate::Job::SECRET)).
    pub secret: Vec<String>,
    /// The version of its payload ([`Job::VERSION`](crate::Job::VERSION)).
    pub version: u32,
    payload: Encoded,
    /// The payload is a ticket: what it stands for was not loaded.
    is_ticket: bool,
    ticket: Option<Ticket>,
    /// Secret fields are shown.
    revealed: bool,
    result: Option<Encoded>,
    progress: Option<Vec<u8>>,
}

/// A value as it is stored.
#[derive(Clone)]
struct Encoded {
    bytes: Vec<u8>,
    dialect: Dialect,
}

impl Encoded {
    fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T, Error> {
        codec::decode(what, &self.bytes, self.dialect)
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// Its handler succeeded; [`JobInfo::result`] reads what it gave back.
    Completed,
    /// It was no longer wanted; this is the reason.
    Cancelled(String),
    /// It is a [saga](crate::Saga) whose steps were undone; this is the reason. Its state is
    /// [`Cancelled`](crate::JobState::Cancelled).
    Compensated(String),
    /// It had not started by the moment at which it [expires](crate::JobOptions::expires_in). Its state is
    /// [`Cancelled`](crate::JobState::Cancelled).
    Expired,
    /// It is on the dead-letter list.
    Dead(DeadReason),
}

impl JobInfo {
    pub(crate) fn decode(id: &JobId, found: Found) -> Result<Self, Error> {
        Self::decoded(id, found).map_err(|error| error.with_job(id))
    }

    fn decoded(id: &JobId, found: Found) -> Result<Self, Error> {
        let state = State::parse(&found.state).ok_or_else(|| {
            Error::new(
                ErrorKind::Incompatible,
                format!("job {id} is in state `{}`, unknown here", found.state),
            )
        })?;
        let child_of = fields_of(&found.record).and_then(child_of);
        let record = Record::decode(&found.record, found.payload)?;
        let counters = found.counters.as_deref().map(Counters::decode);
        let counters = counters.transpose()?.unwrap_or_default();
        let score = || {
            let ms = found.score.parse::<f64>().unwrap_or_default();
            Timestamp::from_millis(ms as u64)
        };
        let (mut ended_at, mut ended, mut result) = (None, None, None);
        if let Some(outcome) = &found.outcome {
            let (at, ending) = Ending::decode(outcome)?;
            ended_at = Some(at);
            let mut given = |bytes: ByteBuf, dialect| {
                let bytes = bytes.into_vec();
                result = Some(Encoded { bytes, dialect });
                Ended::Completed
            };
            ended = Some(match ending {
                Ending::Ok(bytes) => given(bytes, Dialect::Readable),
                Ending::OldOk(bytes) => given(bytes, Dialect::Binary),
                Ending::Cancelled(reason) => Ended::Cancelled(reason),
                Ending::Compensated(reason) => Ended::Compensated(reason),
                Ending::Expired => Ended::Expired,
                Ending::Dead(reason) => Ended::Dead(reason),
            });
        }
        let claim = found.claim.as_deref().and_then(Claim::decode);
        let history = found.history.iter();
        Ok(Self {
            id: id.clone(),
            state,
            enqueued_at: record.enqueued_at,
            priority: record.priority,
            attempts: record.attempts,
            failed: counters.failed,
            stalls: found.stalls.as_deref().and_then(parsed).unwrap_or(0),
            group: record.traits.group,
            on_failure: record.traits.order.as_ref().map(|order| order.on_failure),
            order: record.traits.order.map(|order| order.key),
            unique: record.traits.unique,
            parent: child_of.as_ref().map(|child| child.parent.clone()),
            parent_queue: child_of.and_then(|child| child.queue),
            children: found.counters.as_deref().map_or(0, Counters::children),
            bounces: counters.bounces,
            snoozes: counters.snoozes,
            position: found.position.as_deref().and_then(parsed),
            expires_at: expiry_of(&found.record).map(Timestamp::from_millis),
            due_at: (state == State::Delayed).then(score),
            claimed_at: claim.as_ref().map(|claim| claim.since),
            lease_until: (state == State::Active).then(score),
            worker: claim.map(|claim| claim.worker),
            ended_at,
            ended,
            history: history
                .map(|entry| FailedAttempt::decode(entry))
                .collect::<Result<_, _>>()?,
            headers: record.headers,
            timeout: record.timeout,
            weight: record.weight,
            name: record.name,
            secret: record.secret,
            version: record.version,
            revealed: false,
            is_ticket: record.is_ticket,
            ticket: record
                .is_ticket
                .then(|| Ticket::decode(&record.payload).ok())
                .flatten(),
            payload: Encoded {
                bytes: record.payload,
                dialect: record.dialect,
            },
            result,
            progress: found.progress,
        })
    }

    /// What its handler gave back, as the type it gave (or any other that can be read from it); `None` if the job has not completed.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(mail: Queue, id: JobId) -> Result<(), Error> {
    /// if let Some(job) = mail.job(&id).await? {
    ///     let receipt: Option<String> = job.result()?;
    ///     println!("{} is {}: {receipt:?}", job.name, job.state);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if it cannot be read as a `T`.
    pub fn result<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        let read = self.result.as_ref().map(|it| it.read("a job's result"));
        read.transpose().map_err(|error| error.with_job(&self.id))
    }

    /// What the handler last said about its progress, if it said anything: the handler of the attempt under
    /// way, or of the attempt with which the job ended. Progress of an earlier attempt is dropped when that
    /// attempt is over, whether it failed or its worker died.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if it cannot be read as a `T`.
    pub fn progress<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        let decode = |bytes: &Vec<u8>| codec::decode_either("a job's progress", bytes);
        let read = self.progress.as_ref().map(decode).transpose();
        read.map_err(|error| error.with_job(&self.id))
    }
}

/// Of payload, result and progress only their size: what is in them is the application's, and may be secret.
impl fmt::Debug for JobInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: usize| format!("{bytes} bytes");
        let headers: BTreeMap<_, _> = self.headers.iter().map(|(k, v)| (k, v)).collect();
        let mut shown = f.debug_struct("JobInfo");
        shown
            .field("id", &self.id)
            .field("name", &self.name)
            .field("state", &self.state)
            .field("enqueued_at", &self.enqueued_at)
            .field("priority", &self.priority)
            .field("attempts", &self.attempts)
            .field("failed", &self.failed)
            .field("stalls", &self.stalls)
            .field("bounces", &self.bounces)
            .field("snoozes", &self.snoozes);
        if let Some(position) = self.position {
            shown.field("position", &position);
        }
        let times = [
            ("expires_at", self.expires_at),
            ("due_at", self.due_at),
            ("claimed_at", self.claimed_at),
            ("lease_until", self.lease_until),
            ("ended_at", self.ended_at),
        ];
        for (name, time) in times {
            if let Some(time) = time {
                shown.field(name, &time);
            }
        }
        if let Some(worker) = &self.worker {
            shown.field("worker", worker);
        }
        if let Some(ended) = &self.ended {
            shown.field("ended", ended);
        }
        if let Some(timeout) = &self.timeout {
            shown.field("timeout", timeout);
        }
        if self.weight != 1 {
            shown.field("weight", &self.weight);
        }
        shown
            .field("history", &self.history)
            .field("headers", &headers)
            .field("payload", &size(self.payload.bytes.len()));
        if let Some(result) = &self.result {
            shown.field("result", &size(result.bytes.len()));
        }
        if let Some(progress) = &self.progress {
            shown.field("progress", &size(progress.len()));
        }
        shown.finish()
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

fn parsed<T: FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// How many jobs are in each state, and how much ever happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// In line, suspects among them.
    pub waiting: u64,
    /// Held back by jobs of their group or order, by the job that has their unique key, or by their [children](crate::Flow).
    pub blocked: u64,
    /// Not due yet.
    pub delayed: u64,
    /// Being worked on.
    pub active: u64,
    /// Completed or cancelled, and still kept.
    pub completed: u64,
    /// On the dead-letter list.
    pub dead: u64,
    /// Whether an operator has paused the queue.
    pub paused: bool,
    /// The names whose jobs an operator has paused ([`Queue::jobs_named`](crate::Queue::jobs_named)), in alphabetical order.
    pub paused_names: Vec<String>,
    /// No job starts before this moment, because a handler was told to wait ([`Failure::rate_limited`](crate::Failure::rate_limited)).
    pub held_until: Option<Timestamp>,
    /// How many jobs may start in a period, if that is [set](crate::QueueSettings::rate) for the queue.
    pub rate: Option<Rate>,
    /// How many jobs may run at a time, if that is [set](crate::QueueSettings::concurrency) for the queue.
    pub concurrency: Option<u32>,
    /// Starts that count against the rate at the moment, by their [weight](crate::JobOptions::weight); 0 if no rate is set.
    pub started: u64,
    /// Whether the queue ever had a message for another queue: then [`Queue::outbox`](crate::Queue::outbox) tells what waits there.
    pub has_sent: bool,
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
    /// Jobs cancelled, or expired.
    pub cancelled: u64,
    /// Those of them that expired before they started.
    pub expired: u64,
    /// Attempts that failed and were to be repeated.
    pub retried: u64,
    /// How often handlers put a job off.
    pub snoozed: u64,
    /// Jobs that became dead.
    pub dead: u64,
    /// Dead jobs that were dropped because of a cap ([`QueueSettings::keep_dead`](crate::QueueSettings::keep_dead)).
    pub dead_dropped: u64,
    /// Dead jobs put back in line.
    pub replayed: u64,
    /// Attempts whose worker died.
    pub stalled: u64,
    /// Jobs removed.
    pub removed: u64,
    /// Ids in line whose record was gone: another program wrote to the queue's keys.
    pub without_record: u64,
    /// Late calls of attempts that had lost their job, which changed nothing.
    pub refused: u64,
    /// Ids that were made for a job although another job had the same id. Two producers never make the same
    /// id; if this is not zero, look for errors in the logs of the producers.
    pub clashed: u64,
    /// Jobs that were not added because another job had their unique key.
    pub duplicates: u64,
    /// Jobs that replaced another job with the same unique key, instead of being added.
    pub replaced: u64,
}

impl Counts {
    /// Jobs that have not ended: waiting, blocked, delayed or active.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.waiting + self.blocked + self.delayed + self.active
    }

    pub(crate) fn from_counted(counted: &Counted) -> Self {
        let state = |state: State| counted.jobs(state.as_str());
        let total = |name: &str| counted.total(name);
        let text = |name: &str| counted.text(name).unwrap_or_default();
        let paused = counted.text("paused");
        let hold = paused.and_then(|text| text.strip_prefix("until ")?.split_once(' '));
        let hold =
            hold.and_then(|(until, since)| Some(since.parse::<u64>().ok()?..until.parse().ok()?));
        // Settings that a newer version wrote cannot be read: scripts of this version know of no limits then.
        let settings = SettingsInForce::read(text("settings"), "");
        let rate = settings.and_then(|settings| settings.rate);
        let window = rate.map(|rate| RateWindow::at(rate, counted.now_ms, text("started")));
        Self {
            held_until: hold
                .as_ref()
                .filter(|hold| hold.contains(&counted.now_ms))
                .map(|hold| Timestamp::from_millis(hold.end)),
            rate,
            concurrency: settings.and_then(|settings| settings.concurrency),
            started: window.map_or(0, |window| window.in_window()),
            waiting: state(State::Waiting),
            blocked: state(State::Blocked),
            delayed: state(State::Delayed),
            active: state(State::Active),
            completed: state(State::Completed),
            dead: state(State::Dead),
            paused: paused.is_some() && hold.is_none(),
            paused_names: paused_in(text("paused_names")),
            has_sent: counted.text("sent").is_some(),
            totals: Totals {
                added: total("added"),
                completed: total("completed"),
                cancelled: total("cancelled"),
                expired: total("expired"),
                retried: total("retried"),
                snoozed: total("snoozed"),
                dead: total("dead"),
                dead_dropped: total("dead_dropped"),
                replayed: total("replayed"),
                stalled: total("stalled"),
                removed: total("removed"),
                without_record: total("orphans"),
                refused: total("refused"),
                clashed: total("clashed"),
                duplicates: total("duplicates"),
                replaced: total("replaced"),
            },
        }
    }
}
