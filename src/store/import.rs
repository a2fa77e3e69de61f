//! Puts jobs on the dead-letter list that were exported from one.

use redis::Cmd;
use serde::Serialize;

use crate::id::JobId;
use crate::job::record::EncodedRecord;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("import");

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) jobs in one call; those that are there already stay as they are.
pub(crate) struct Import<'a> {
    pub(crate) jobs: &'a [ImportJob],
}

/// A dead job as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct ImportJob {
    pub(crate) id: JobId,
    pub(crate) record: EncodedRecord,
    pub(crate) priority: u16,
    pub(crate) enqueued_ms: u64,
    pub(crate) died_ms: u64,
    pub(crate) reason: String,
    /// What is stored behind the moment at which it died.
    pub(crate) ending: Vec<u8>,
    pub(crate) stalls: u32,
    /// If anything went wrong with it.
    pub(crate) counters: Option<Vec<u8>>,
    /// How many attempts were ever recorded.
    pub(crate) recorded: u64,
    /// The last of these, oldest first.
    pub(crate) history: Vec<Vec<u8>>,
    pub(crate) beside: Beside,
}

/// What is recorded of a job beside its record: its steps, and what it knows of its children. The counters tell of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside {
    /// Each by the name behind the job's id under which it is stored.
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    /// The number of the last step; none: nothing was ever stored of steps.
    pub(crate) last: Option<u64>,
    /// How many children it has.
    pub(crate) children: u64,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Imported {
    pub(crate) imported: Vec<String>,
    /// Ids of jobs that were there already.
    pub(crate) there: Vec<String>,
}

#[allow(
    dead_code,
    reason = "only queues in memory ask for it, and these are a feature"
)]
impl Beside {
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        let (_, value) = fields.find(|(known, _)| known == name)?;
        Some(value)
    }

    /// Those of this kind, each with its number.
    pub(crate) fn numbered(&self, kind: &str) -> impl Iterator<Item = (u32, &[u8])> {
        self.fields.iter().filter_map(move |(name, value)| {
            let number = name.strip_prefix(kind)?.parse().ok()?;
            Some((number, value.as_slice()))
        })
    }
}

impl ImportJob {
    pub(crate) fn bytes(&self) -> usize {
        let history: usize = self.history.iter().map(Vec::len).sum();
        let beside = self.beside.fields.iter().map(|(_, value)| value.len());
        self.record.bytes() + history + self.ending.len() + beside.sum::<usize>()
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
    died_ms: u64,
    reason: &'a str,
    stalls: u32,
    traits: bool,
    apart: bool,
    recorded: u64,
    history: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    beside: Vec<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    children: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl<'a> Job<'a> {
    fn of(job: &'a ImportJob) -> Self {
        Self {
            id: job.id.as_str(),
            priority: job.priority,
            enqueued_ms: job.enqueued_ms,
            died_ms: job.died_ms,
            reason: &job.reason,
            stalls: job.stalls,
            traits: job.record.traits,
            apart: job.record.external_payload.is_some(),
            recorded: job.recorded,
            history: job.history.len(),
            beside: job
                .beside
                .fields
                .iter()
                .map(|(name, _)| name.as_str())
                .collect(),
            children: job.beside.children,
        }
    }
}

impl Verb for Import<'_> {
    type Answer = Imported;

    /// A second call finds them there.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let jobs = self.jobs.iter().map(Job::of).collect();
        named(arguments, &Arguments { jobs });
        for job in self.jobs {
            arguments.arg(&job.record.record).arg(&job.ending);
            arguments.arg(job.counters.as_deref().unwrap_or_default());
            if let Some(payload) = &job.record.external_payload {
                arguments.arg(payload);
            }
            for attempt in &job.history {
                arguments.arg(attempt);
            }
            for (_, value) in &job.beside.fields {
                arguments.arg(value);
            }
        }
    }

    fn answer(mut reply: Reply) -> Result<Imported, Trouble> {
        match reply.tag() {
            "imported" => Ok(Imported {
                imported: reply.texts()?,
                there: reply.texts()?,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
