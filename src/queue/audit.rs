//! What operators do to a queue: who, what, when, and to how many jobs.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::error::Error;
use crate::queue::{Queue, QueueInner};
use crate::store;
use crate::store::BATCH_JOBS;
use crate::time::Timestamp;

/// Longest text of an entry, in bytes.
const TEXT_MAX: usize = 512;
/// The largest number that scripts count with; no entry has one so large.
const NUMBER_MAX: u64 = (1 << 53) - 1;

/// One thing that an operator did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// Counts up from 1, from entry to entry of the queue.
    pub number: u64,
    /// When it was noted, by the server's clock.
    pub at: Timestamp,
    /// Who it was: what the program has set ([`OxcartBuilder::operator`](crate::OxcartBuilder::operator)).
    pub operator: String,
    /// What was done: `replay`, `remove`, `pause`, ..: the name of the call.
    pub action: String,
    /// To what: the id of a job, a filter, a name.
    pub target: String,
    /// Whether it is the beginning or the end.
    pub phase: AuditPhase,
    /// At the end of a long action: how many jobs it has changed.
    pub jobs: Option<u64>,
}

/// What an entry tells of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AuditPhase {
    /// It is one call, which was made right after this was noted.
    Asked,
    /// It takes several calls, which begin now. An entry [`Ended`](Self::Ended) follows, unless the program died or lost its
    /// connection before.
    Began,
    /// It has ended, with this number of jobs.
    Ended,
    /// A phase that a newer version wrote.
    #[serde(other)]
    Other,
}

/// An entry as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    operator: Cow<'a, str>,
    action: Cow<'a, str>,
    #[serde(default)]
    target: Cow<'a, str>,
    phase: AuditPhase,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jobs: Option<u64>,
}

/// A request for the last audit entries of a queue: see [`Queue::audit`].
///
/// # Errors
///
/// If Redis does not answer; see [`Queue`].
///
/// # Cancel safety
///
/// Only reads.
#[must_use = "nothing is read until it is awaited"]
#[derive(Debug, Clone)]
pub struct Audit {
    queue: Queue,
    limit: usize,
    before: Option<u64>,
}

impl Queue {
    /// What operators did to this queue, the last entry first: a page of up to 256.
    ///
    /// Programs that say who they are ([`OxcartBuilder::operator`](crate::OxcartBuilder::operator)) leave an entry whenever they replay,
    /// remove, edit, cancel, import, pause, resume, or change settings, groups or schedules; the command `oxcart` always does.
    /// Programs that do not say it leave none, and pay nothing. The entry is noted before the action, which is not carried out if that
    /// fails. About 1,000 entries are kept, until the queue is deleted.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(mail: Queue) -> Result<(), Error> {
    /// for entry in mail.audit().limit(20).await? {
    ///     println!("{} {} {} {}", entry.at, entry.operator, entry.action, entry.target);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn audit(&self) -> Audit {
        Audit {
            queue: self.clone(),
            limit: BATCH_JOBS,
            before: None,
        }
    }

    /// Notes in the audit that the operator of this program does something of which the library does not know, before it is done:
    /// `what`, for instance `reveal`, and to what. Does nothing if no operator is set. Texts are cut to 512 bytes.
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn note_in_audit(&self, what: &str, target: &str) -> Result<(), Error> {
        self.inner.asked(what, target).await
    }
}

/// Each does nothing if no operator is set.
impl QueueInner {
    /// An action of one call, right before it is made.
    pub(crate) async fn asked(&self, action: &str, target: impl fmt::Display) -> Result<(), Error> {
        self.note(action, target, AuditPhase::Asked, None).await
    }

    /// An action of several calls, before the first.
    pub(crate) async fn began(&self, action: &str, target: impl fmt::Display) -> Result<(), Error> {
        self.note(action, target, AuditPhase::Began, None).await
    }

    /// The end of such an action, which has changed so many jobs.
    pub(crate) async fn ended(
        &self,
        action: &str,
        target: impl fmt::Display,
        jobs: u64,
    ) -> Result<(), Error> {
        let phase = AuditPhase::Ended;
        self.note(action, target, phase, Some(jobs)).await
    }

    async fn note(
        &self,
        action: &str,
        target: impl fmt::Display,
        phase: AuditPhase,
        jobs: Option<u64>,
    ) -> Result<(), Error> {
        let Some(operator) = &self.setup.operator else {
            return Ok(());
        };
        let target = target.to_string();
        let note = codec::encode_plain(&Stored {
            operator: cut(operator).into(),
            action: cut(action).into(),
            target: cut(&target).into(),
            phase,
            jobs,
        });
        let verb = store::audit::Audit {
            note: Some(&note),
            limit: 0,
            before: None,
        };
        self.call(&verb).await.map(|_| ())
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX)]
}

impl Audit {
    /// At most so many: 1 to 256, which is the default.
    pub fn limit(mut self, entries: usize) -> Self {
        self.limit = entries.clamp(1, BATCH_JOBS);
        self
    }

    /// Only entries before this one, by its number: the next page.
    pub fn before(mut self, number: u64) -> Self {
        self.before = Some(number.clamp(1, NUMBER_MAX));
        self
    }

    async fn read(self) -> Result<Vec<AuditEntry>, Error> {
        let verb = store::audit::Audit {
            note: None,
            limit: self.limit,
            before: self.before,
        };
        let noted = self.queue.inner.call(&verb).await?;
        // What cannot be read was written by another program, or a version that is much newer.
        let entry = |noted: &store::audit::Noted| {
            let stored: Stored<'_> = codec::decode_plain("an audit entry", &noted.entry).ok()?;
            Some(AuditEntry {
                number: noted.number,
                at: Timestamp::from_millis(noted.at_ms),
                operator: stored.operator.into_owned(),
                action: stored.action.into_owned(),
                target: stored.target.into_owned(),
                phase: stored.phase,
                jobs: stored.jobs,
            })
        };
        Ok(noted.iter().filter_map(entry).collect())
    }
}

impl IntoFuture for Audit {
    type Output = Result<Vec<AuditEntry>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.read())
    }
}
