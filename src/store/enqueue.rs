//! Adds jobs.

use std::sync::Arc;
use std::time::SystemTime;

use redis::Cmd;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::id::JobId;
use crate::job::record::EncodedRecord;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};
use crate::time::{Timestamp, check_wait};

static SCRIPT: Script = script!("enqueue");

/// The script for jobs with traits. Its further keys would cost every call.
static FULL: Script = script!("enqueue" with "all");

/// When a job becomes ready, by the server's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Due {
    #[default]
    Now,
    After {
        ms: u64,
    },
    At {
        ms: u64,
    },
}

impl Due {
    /// Whether that is not too far ahead.
    pub(crate) fn check(self) -> Result<(), Error> {
        let ahead_ms = match self {
            Self::Now => 0,
            Self::After { ms } => ms,
            Self::At { ms } => ms.saturating_sub(Timestamp::from(SystemTime::now()).as_millis()),
        };
        check_wait("the time until the job is due", ahead_ms)
    }
}

/// Whether Redis may know an id that it is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Novelty {
    /// Made for this job, and never sent before: it need not be looked up.
    #[default]
    New,
    /// Chosen by the application, or sent before.
    Unsure,
}

/// A job on its way into the queue.
#[derive(Debug, Clone)]
pub(crate) struct NewJob {
    pub(crate) id: JobId,
    pub(crate) record: EncodedRecord,
    pub(crate) due: Due,
    pub(crate) priority: Option<u16>,
    pub(crate) front: bool,
    /// Announce its outcome, and keep it, for this long from now.
    pub(crate) await_ms: Option<u64>,
    /// What is to be added when something has become of its children.
    pub(crate) callbacks: Option<Arc<Callbacks>>,
}

impl NewJob {
    pub(crate) fn bytes(&self) -> usize {
        let callbacks = self.callbacks.as_ref();
        let callbacks = callbacks.map_or(0, |callbacks| callbacks.bytes());
        self.id.as_str().len() + self.record.bytes() + callbacks
    }
}

/// Jobs that are added when something has become of the children of a job (`lua/lib/callbacks.lua`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Callbacks {
    /// When one of them is dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) on_failure: Option<Callback>,
    /// When each of them has ended, or was dead once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) on_complete: Option<Callback>,
}

impl Callbacks {
    fn bytes(&self) -> usize {
        let both = [&self.on_failure, &self.on_complete].into_iter().flatten();
        both.map(|callback| callback.0.len()).sum()
    }
}

/// A message for a queue, `<target> <message>`, as text: a byte from 128 on is the character of that number, because Redis reads no binary in
/// MessagePack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Callback(pub(crate) String);

impl Callback {
    pub(crate) fn new(target: &str, message: &[u8]) -> Self {
        let bytes = target.bytes().chain([b' ']).chain(message.iter().copied());
        Self(bytes.map(char::from).collect())
    }

    /// The target, and the message.
    #[allow(
        dead_code,
        reason = "only queues in memory ask for it, and these are a feature"
    )]
    pub(crate) fn read(&self) -> Option<(String, Vec<u8>)> {
        let bytes = self.0.chars().map(|byte| u8::try_from(byte).ok());
        let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
        let space = bytes.iter().position(|byte| *byte == b' ')?;
        let target = String::from_utf8(bytes[..space].to_vec()).ok()?;
        Some((target, bytes[space + 1..].to_vec()))
    }
}

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) jobs in one call of one lane. With no jobs it is the
/// question whether the call of that number ran: if it did, its answer is given again.
pub(crate) struct Enqueue<'a> {
    pub(crate) lane: &'a str,
    pub(crate) call: u64,
    pub(crate) jobs: &'a [&'a NewJob],
    /// What Redis may know of the jobs' ids, of all of them together.
    pub(crate) novelty: Novelty,
}

/// A job that was not added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct There {
    /// Its position among those of the call.
    pub(crate) position: usize,
    pub(crate) met: Met,
}

/// Why a job was not added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Met {
    /// A job with its id is there.
    Itself,
    /// This job has its unique key, and stays as it is.
    Duplicate(JobId),
    /// This job had its unique key, and was replaced by it.
    Replaced(JobId),
    /// It is of a flow, and this job of the flow could not be added.
    NotWithout(JobId),
}

impl There {
    /// From a position, or a position and an id behind a sign (`lua/lib/duplicate.lua`).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let end = text.find([':', '~', '!']).unwrap_or(text.len());
        let (position, rest) = text.split_at(end);
        let met = match rest.split_at_checked(1) {
            Some((":", id)) => Met::Duplicate(JobId::stored(id)),
            Some(("!", id)) => Met::NotWithout(JobId::stored(id)),
            Some((_, id)) => Met::Replaced(JobId::stored(id)),
            None => Met::Itself,
        };
        let position = position.parse().ok()?;
        Some(Self { position, met })
    }
}

#[derive(Debug, PartialEq)]
pub(crate) enum Enqueued {
    /// Done. `there`: the jobs that were not added, in the order of their positions. `replaced`: how many records of other jobs were
    /// replaced, because an id was said to be new and was not.
    Added {
        there: Vec<There>,
        replaced: u64,
        /// Nothing was ever added before: the queue is new, or was deleted.
        is_first: bool,
    },
    /// A later call of this lane ran already: this one must not.
    Superseded,
    /// The call of this number did not run, and never will: a question has taken it.
    Asked,
}

#[derive(Serialize)]
struct Arguments<'a> {
    lane: &'a str,
    call: u64,
    jobs: usize,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unsure: bool,
    options: Vec<Position>,
    external: Vec<usize>,
}

/// One entry of a flat list: a position from 1, and then its options.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Position {
    At(usize),
    Has(Options),
}

/// What is not default about a job (`lua/lib/add.lua`).
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u16>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    front: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    await_ms: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    traits: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    callbacks: Option<Callbacks>,
}

impl Options {
    /// What is not default about a job, if anything is.
    pub(super) fn of(job: &NewJob) -> Option<Self> {
        let (delay_ms, at_ms) = match job.due {
            Due::Now => (None, None),
            Due::After { ms } => (Some(ms), None),
            Due::At { ms } => (None, Some(ms)),
        };
        let plain = job.due == Due::Now
            && job.priority.is_none()
            && !job.front
            && job.await_ms.is_none()
            && job.callbacks.is_none()
            && !job.record.traits;
        (!plain).then_some(Self {
            delay_ms,
            at_ms,
            priority: job.priority,
            front: job.front,
            await_ms: job.await_ms,
            traits: job.record.traits,
            callbacks: job.callbacks.as_deref().cloned(),
        })
    }
}

impl Options {
    /// The job of which this was said.
    pub(super) fn job(&self, id: JobId, record: EncodedRecord) -> NewJob {
        let due = match (self.at_ms, self.delay_ms) {
            (Some(ms), _) => Due::At { ms },
            (None, Some(ms)) => Due::After { ms },
            (None, None) => Due::Now,
        };
        NewJob {
            id,
            record,
            due,
            priority: self.priority,
            front: self.front,
            await_ms: self.await_ms,
            callbacks: self.callbacks.clone().map(Arc::new),
        }
    }
}

/// What a call says of its jobs beside their ids and records: what is not default about them, and which have their payload apart.
pub(super) fn named_of(jobs: &[&NewJob]) -> (Vec<Position>, Vec<usize>) {
    let external = |(position, job): (usize, &&NewJob)| {
        job.record.external_payload.as_ref().map(|_| position + 1)
    };
    let options = |(position, job): (usize, &&NewJob)| {
        let options = Options::of(job)?;
        Some([Position::At(position + 1), Position::Has(options)])
    };
    let all = || jobs.iter().enumerate();
    (
        all().filter_map(options).flatten().collect(),
        all().filter_map(external).collect(),
    )
}

/// What stands behind the named arguments of a call: the ids, the records, and the payloads that lie apart.
pub(super) fn append(jobs: &[&NewJob], arguments: &mut Cmd) {
    for job in jobs {
        arguments.arg(job.id.as_str());
    }
    for job in jobs {
        arguments.arg(&job.record.record);
    }
    for job in jobs {
        if let Some(payload) = &job.record.external_payload {
            arguments.arg(payload);
        }
    }
}

impl Enqueue<'_> {
    #[cfg(test)]
    pub(crate) fn full_script() -> &'static Script {
        &FULL
    }
}

impl Verb for Enqueue<'_> {
    type Answer = Enqueued;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn script_of_call(&self) -> &'static Script {
        if self.jobs.iter().any(|job| job.record.traits) {
            return &FULL;
        }
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let (options, external) = named_of(self.jobs);
        named(
            arguments,
            &Arguments {
                lane: self.lane,
                call: self.call,
                jobs: self.jobs.len(),
                unsure: self.novelty == Novelty::Unsure,
                options,
                external,
            },
        );
        append(self.jobs, arguments);
    }

    fn answer(mut reply: Reply) -> Result<Enqueued, Trouble> {
        match reply.tag() {
            tag @ ("added" | "first" | "repeated") => Ok(Enqueued::Added {
                is_first: tag == "first",
                there: reply.flat_parsed("what became of a job", There::parse)?,
                replaced: 0,
            }),
            "replaced" => Ok(Enqueued::Added {
                replaced: reply.number()?,
                there: reply.flat_parsed("what became of a job", There::parse)?,
                is_first: false,
            }),
            "superseded" => Ok(Enqueued::Superseded),
            "asked" => Ok(Enqueued::Asked),
            _ => reply.unexpected_tag(),
        }
    }
}
