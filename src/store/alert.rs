//! Stores how alerts stand, and adds the jobs that tell of it.

use redis::{Cmd, Value};
use serde::Serialize;

use crate::id::JobId;
use crate::job::record::EncodedRecord;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

/// The jobs have an order.
static SCRIPT: Script = script!("alert" in full);

/// Changes of up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) alerts.
pub(crate) struct Alert<'a> {
    /// The round in which they were judged; none if an operator changes them.
    pub(crate) round: Option<Round>,
    pub(crate) changes: &'a [Change],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) number: u64,
    /// How long it lasts from this call on.
    pub(crate) every_ms: u64,
}

/// What becomes of one alert, if it is still as the caller saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) name: String,
    /// How it was seen; empty for not at all.
    pub(crate) seen: Vec<u8>,
    /// How it is to stand; empty for not at all.
    pub(crate) stands: Vec<u8>,
    /// The job that tells of it. Its payload lies in its record.
    pub(crate) job: Option<(JobId, EncodedRecord)>,
}

impl Change {
    /// How much of a call it takes.
    pub(crate) fn bytes(&self) -> usize {
        let job = self.job.as_ref().map_or(0, |(_, record)| record.bytes());
        self.name.len() + self.seen.len() + self.stands.len() + job
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// For each whether it was stored; if not, it had changed since.
    Done { stored: Vec<bool> },
    /// Another round has begun; nothing was done.
    Over,
}

#[derive(Serialize)]
struct Arguments<'a> {
    alerts: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    round: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every_ms: Option<u64>,
    /// Ids, and the positions of their alerts, from 1.
    jobs: Vec<(&'a str, usize)>,
}

impl Alert<'_> {
    fn jobs(&self) -> impl Iterator<Item = (usize, &JobId, &EncodedRecord)> {
        let jobs = self.changes.iter().enumerate();
        jobs.filter_map(|(at, change)| change.job.as_ref().map(|(id, record)| (at, id, record)))
    }
}

impl Verb for Alert<'_> {
    type Answer = Stored;

    /// A second call finds that they have changed.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let names = Arguments {
            alerts: self.changes.len(),
            round: self.round.map(|round| round.number),
            every_ms: self.round.map(|round| round.every_ms),
            jobs: self
                .jobs()
                .map(|(at, id, _)| (id.as_str(), at + 1))
                .collect(),
        };
        named(arguments, &names);
        for change in self.changes {
            arguments.arg(&change.name);
        }
        for change in self.changes {
            arguments.arg(&change.seen);
        }
        for change in self.changes {
            arguments.arg(&change.stands);
        }
        for (_, _, job) in self.jobs() {
            arguments.arg(&job.record);
        }
    }

    fn answer(mut reply: Reply) -> Result<Stored, Trouble> {
        match reply.tag() {
            "stored" => {
                let verdict = |value| value == Value::Int(1);
                let stored = reply.list()?.into_iter().map(verdict).collect();
                Ok(Stored::Done { stored })
            }
            "over" => Ok(Stored::Over),
            _ => reply.unexpected_tag(),
        }
    }
}
