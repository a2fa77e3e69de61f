//! Adds jobs.

use redis::Cmd;
use serde::Serialize;

use crate::id::JobId;
use crate::job::record::EncodedRecord;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!(
    "enqueue",
    grows,
    [
        "now",
        "arguments",
        "whole",
        "optional",
        "meta",
        "stamp",
        "once",
        "emit",
        "arm",
        "count",
        "order",
        "enter"
    ]
);

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
}

impl NewJob {
    pub(crate) fn bytes(&self) -> usize {
        self.id.as_str().len() + self.record.bytes()
    }
}

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) jobs in one call of one lane.
pub(crate) struct Enqueue<'a> {
    pub(crate) lane: &'a str,
    pub(crate) call: u64,
    pub(crate) jobs: &'a [&'a NewJob],
}

#[derive(Debug, PartialEq)]
pub(crate) enum Enqueued {
    /// Done; the positions of the jobs whose id was already there.
    Added { there: Vec<usize> },
    /// A later call of this lane ran already: this one must not.
    Superseded,
}

#[derive(Serialize)]
struct Arguments<'a> {
    lane: &'a str,
    call: u64,
    jobs: Vec<Placing>,
    external: Vec<usize>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Placing {
    /// `false`: Lua's lists cannot hold a nil.
    Default(bool),
    Other(Options),
}

#[derive(Serialize)]
struct Options {
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
}

impl Placing {
    fn of(job: &NewJob) -> Self {
        let (delay_ms, at_ms) = match job.due {
            Due::Now => (None, None),
            Due::After { ms } => (Some(ms), None),
            Due::At { ms } => (None, Some(ms)),
        };
        let options = Options {
            delay_ms,
            at_ms,
            priority: job.priority,
            front: job.front,
            await_ms: job.await_ms,
        };
        if matches!(
            options,
            Options {
                delay_ms: None,
                at_ms: None,
                priority: None,
                front: false,
                await_ms: None,
            }
        ) {
            return Self::Default(false);
        }
        Self::Other(options)
    }
}

impl Verb for Enqueue<'_> {
    type Answer = Enqueued;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let external = |(position, job): (usize, &&NewJob)| {
            job.record.external_payload.as_ref().map(|_| position + 1)
        };
        named(
            arguments,
            &Arguments {
                lane: self.lane,
                call: self.call,
                jobs: self.jobs.iter().map(|job| Placing::of(job)).collect(),
                external: self.jobs.iter().enumerate().filter_map(external).collect(),
            },
        );
        for job in self.jobs {
            arguments.arg(job.id.as_str()).arg(&job.record.record);
        }
        for job in self.jobs {
            if let Some(payload) = &job.record.external_payload {
                arguments.arg(payload);
            }
        }
    }

    fn answer(mut reply: Reply) -> Result<Enqueued, Trouble> {
        match reply.tag() {
            "added" | "repeated" => Ok(Enqueued::Added {
                there: reply.positions()?,
            }),
            "superseded" => Ok(Enqueued::Superseded),
            _ => reply.unexpected_tag(),
        }
    }
}
