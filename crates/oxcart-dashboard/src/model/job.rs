//! Jobs: lists of them, and one with its story.

use std::collections::BTreeMap;

use oxcart::JobState;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Moment;

/// Which jobs of a queue are asked for: the query of a list's link, and the fields of the forms of bulk actions.
/// A field that is empty asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct JobQuery {
    /// In this state.
    pub state: JobState,
    /// Of this name.
    pub name: String,
    /// Whose id begins so.
    pub id: String,
    /// Of this group.
    pub group: String,
    /// With this text in the last error.
    pub error: String,
    /// With so many failed attempts or more: digits.
    pub failed: String,
    /// Enqueued (or ended, if they have) at least so long ago: `90s`, `2h`, `7d`.
    pub older: String,
    /// Enqueued (or ended, if they have) less than so long ago.
    pub newer: String,
    /// What they died of; for dead jobs alone.
    pub fingerprint: String,
    /// Begin behind this place ([`JobList::next`]).
    pub after: String,
}

/// All that wait.
impl Default for JobQuery {
    fn default() -> Self {
        Self {
            state: JobState::Waiting,
            name: String::new(),
            id: String::new(),
            group: String::new(),
            error: String::new(),
            failed: String::new(),
            older: String::new(),
            newer: String::new(),
            fingerprint: String::new(),
            after: String::new(),
        }
    }
}

impl JobQuery {
    /// The fields that are set but for the place, by name, as a link or a form has them; the state is always there.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, &str)> {
        let fields = [
            ("name", &self.name),
            ("id", &self.id),
            ("group", &self.group),
            ("error", &self.error),
            ("failed", &self.failed),
            ("older", &self.older),
            ("newer", &self.newer),
            ("fingerprint", &self.fingerprint),
        ];
        let set = fields
            .into_iter()
            .map(|(name, value)| (name, value.as_str()))
            .filter(|(_, value)| !value.is_empty());
        std::iter::once(("state", self.state.as_str()))
            .chain(set)
            .collect()
    }

    /// Whether all jobs of the state are asked for.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.fields().len() == 1
    }
}

/// A page of jobs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobList {
    /// Their queue.
    pub queue: String,
    /// Which jobs were asked for.
    pub query: JobQuery,
    /// The jobs; there may be none, and yet a next page.
    pub jobs: Vec<JobLine>,
    /// Jobs that a newer version wrote, so that they cannot be shown: their ids.
    pub unreadable: Vec<String>,
    /// Where the next page begins: for [`JobQuery::after`].
    pub next: Option<String>,
    /// How many jobs there are in each state, in the order of [`JobState::ALL`]. Completed and cancelled jobs are counted together, as completed.
    pub counts: Vec<(JobState, u64)>,
}

/// One job among others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobLine {
    /// Its queue.
    pub queue: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: JobState,
    /// When it was enqueued.
    pub enqueued_at: Moment,
    /// 0 (most urgent) to 1023.
    pub priority: u16,
    /// Attempts that failed.
    pub failed: u32,
    /// How often it is tried at most.
    pub attempts: u32,
    /// Its group.
    pub group: Option<String>,
    /// When it becomes due, if it is delayed.
    pub due_at: Option<Moment>,
    /// When its worker took it, if it runs.
    pub claimed_at: Option<Moment>,
    /// The worker that runs it.
    pub worker: Option<String>,
    /// When it ended.
    pub ended_at: Option<Moment>,
    /// The last thing that went wrong; cut to 300 characters.
    pub error: Option<String>,
    /// What its handler last said of its progress.
    pub progress: Value,
}

/// All that is known of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobView {
    /// What lists show of it as well.
    pub line: JobLine,
    /// How often its worker died while it ran.
    pub stalls: u32,
    /// How often no handler could take it.
    pub bounces: u32,
    /// How often a handler has put it off.
    pub snoozes: u32,
    /// Its order key.
    pub order: Option<String>,
    /// Its unique key.
    pub unique: Option<String>,
    /// The id of the job that waits for it.
    pub parent: Option<String>,
    /// The queue of that job, if it is another one.
    pub parent_queue: Option<String>,
    /// The jobs for which it waits, or has waited, in the order in which they were added; the first 256.
    pub children: Vec<ChildLine>,
    /// How far it is, if it is a saga that has begun a step.
    pub saga: Option<SagaView>,
    /// Its durable steps, in the order in which its handler calls them; 256 at most.
    pub steps: Vec<StepLine>,
    /// How large its last checkpoint is, in bytes, if it has one.
    pub checkpoint_bytes: Option<u64>,
    /// Why it is to end, if it runs and was asked to.
    pub cancel_requested: Option<String>,
    /// What a start of it counts against the rate of its queue.
    pub weight: u32,
    /// Jobs before it in line.
    pub position: Option<u64>,
    /// When it is over if it has not started by then.
    pub expires_at: Option<Moment>,
    /// When its lease runs out unless it is extended.
    pub lease_until: Option<Moment>,
    /// Time limit of an attempt, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// How it ended.
    pub ended: Option<Ended>,
    /// What it died of or last failed with, as a number that is the same for the same cause.
    pub fingerprint: Option<String>,
    /// Attempts that went wrong, the oldest first; the last 20.
    pub attempts: Vec<AttemptLine>,
    /// The headers that were sent along.
    pub headers: BTreeMap<String, String>,
    /// Its payload; in the place of secret fields there is the text `(secret)`.
    pub payload: Value,
    /// The names of the secret fields of the payload.
    pub secret: Vec<String>,
    /// What its handler gave back.
    pub result: Value,
    /// Why payload, result or progress cannot be shown.
    pub unreadable: Option<String>,
    /// What its handlers have said, the oldest line first; the last 100 lines.
    pub log: Vec<LogLine>,
    /// Where it stands and what it waits for, in a sentence.
    pub stands: String,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// `completed`, `cancelled`, `compensated` (the steps of a saga are undone), `expired`, `dead` or `other`.
    pub how: &'static str,
    /// Why, if there is a reason.
    pub reason: Option<String>,
}

/// A job for which another one waits, as that one knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChildLine {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How it ended, if it has; a dead one may have been replayed since.
    pub ended: Option<Ended>,
    /// When it ended.
    pub ended_at: Option<Moment>,
    /// It was removed before it ended.
    pub removed: bool,
    /// Its queue, if that is another one than that of its parent.
    pub queue: Option<String>,
    /// Why it could not be added to its queue, if that is so.
    pub refused: Option<String>,
}

/// A saga: a job whose steps are undone if it cannot be finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SagaView {
    /// `forward`, `undoing`, `stuck`, `completed` or `compensated`.
    pub state: &'static str,
    /// Why it is to be undone, or was.
    pub reason: Option<String>,
}

/// A durable step of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepLine {
    /// Its name.
    pub name: String,
    /// `done`; `sleeping`, `slept`; `waiting` (for a signal of its name), `signalled`, `timed-out`; and of a saga also `begun`, `failed`, `undone` or
    /// `skipped` (its undo was left out).
    pub state: &'static str,
    /// When it came to that. Of a sleep, and of a wait: when it began.
    pub at: Moment,
    /// When a sleep is over, or a wait at the latest.
    pub due: Option<Moment>,
    /// How large what it gave is, or the value of the signal; 0 if there is none.
    pub bytes: u64,
    /// The error, if it has failed.
    pub error: Option<String>,
}

/// One attempt that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptLine {
    /// When it began.
    pub started_at: Moment,
    /// When it ended.
    pub ended_at: Moment,
    /// What went wrong: `error`, `panic`, `timeout`, `stalled`, `unknown-name`, `undecodable`, `bad-result`, `snoozed`, `child-died` or `other`.
    pub kind: &'static str,
    /// The error, up to 4 KiB.
    pub error: String,
}

/// One line of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Counts up from 1.
    pub number: u64,
    /// When the handler said it.
    pub at: Moment,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// The text, up to 4 KiB.
    pub text: String,
}
