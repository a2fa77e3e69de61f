//! Takes jobs in that waited in another queue.

use redis::Cmd;
use serde::Serialize;

use crate::id::JobId;
use crate::job::record::EncodedRecord;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("adopt" in full);

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) jobs in one call; what is there already stays as it is.
pub(crate) struct Adopt<'a> {
    pub(crate) jobs: &'a [AdoptJob],
}

/// A job that waits, is blocked or is delayed, with what went wrong with it so far.
#[derive(Debug, Clone)]
pub(crate) struct AdoptJob {
    pub(crate) id: JobId,
    pub(crate) record: EncodedRecord,
    pub(crate) priority: u16,
    pub(crate) enqueued_ms: u64,
    /// When it is due; `None` for now.
    pub(crate) at_ms: Option<u64>,
    /// If anything went wrong with it.
    pub(crate) counters: Option<Vec<u8>>,
    /// How many attempts were ever recorded.
    pub(crate) recorded: u64,
    /// The last of these, oldest first.
    pub(crate) history: Vec<Vec<u8>>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Adopted {
    pub(crate) adopted: Vec<String>,
    /// Ids of jobs that were there already.
    pub(crate) there: Vec<String>,
    /// Ids of jobs whose unique key another job has.
    pub(crate) duplicates: Vec<String>,
}

impl AdoptJob {
    pub(crate) fn bytes(&self) -> usize {
        let history: usize = self.history.iter().map(Vec::len).sum();
        self.record.bytes() + history
    }
}

#[derive(Serialize)]
struct Arguments<'a> {
    jobs: Vec<Job<'a>>,
}

#[derive(Serialize)]
struct Job<'a> {
    id: &'a str,
    priority: u16,
    enqueued_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_ms: Option<u64>,
    traits: bool,
    apart: bool,
    recorded: u64,
    history: usize,
}

impl<'a> Job<'a> {
    fn of(job: &'a AdoptJob) -> Self {
        Self {
            id: job.id.as_str(),
            priority: job.priority,
            enqueued_ms: job.enqueued_ms,
            at_ms: job.at_ms,
            traits: job.record.traits,
            apart: job.record.external_payload.is_some(),
            recorded: job.recorded,
            history: job.history.len(),
        }
    }
}

impl Verb for Adopt<'_> {
    type Answer = Adopted;

    /// A second call finds them there.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let jobs = self.jobs.iter().map(Job::of).collect();
        named(arguments, &Arguments { jobs });
        for job in self.jobs {
            arguments.arg(&job.record.record);
            arguments.arg(job.counters.as_deref().unwrap_or_default());
            if let Some(payload) = &job.record.external_payload {
                arguments.arg(payload);
            }
            for attempt in &job.history {
                arguments.arg(attempt);
            }
        }
    }

    fn answer(mut reply: Reply) -> Result<Adopted, Trouble> {
        match reply.tag() {
            "adopted" => Ok(Adopted {
                adopted: reply.texts()?,
                there: reply.texts()?,
                duplicates: reply.texts()?,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
