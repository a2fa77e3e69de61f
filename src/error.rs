//! The one error type of the crate: what was tried, on what, and what to do about it.

use std::error::Error as StdError;
use std::fmt;

use crate::id::JobId;

type Source = Box<dyn StdError + Send + Sync>;

/// The kind of an [`Error`]; the predicates on [`Error`] answer the questions that callers ask.
///
/// One cause has one kind, whatever the call. `docs/errors.md` lists the causes, each with its kind and with
/// what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value is outside of what is allowed. Nothing was written.
    Invalid,
    /// A value could not be turned into MessagePack, or back.
    Codec,
    /// No connection to Redis could be made.
    Unreachable,
    /// What answers is not a Redis that this user can use, and will not be until an address, a user or a setting is
    /// changed: no Redis at all, too old, a replica, a node of a cluster by `redis://`, a wrong password, a command that is denied, a
    /// database that is not there. Nothing was written, unless the message says that a script was stopped in its middle.
    Unsuitable,
    /// Redis was reached and refused for now (out of memory, read only, loading, no room for another client, ...), or
    /// another program changes the same thing all the time. Nothing was written.
    Refused,
    /// A queue that was to be deleted holds jobs that have not ended, dead letters or schedules. Nothing was
    /// deleted.
    NotEmpty,
    /// A job of a [flow](crate::Flow) is there already, or another job has its unique key. Nothing of the flow was enqueued.
    Conflict,
    /// The request never reached Redis, or Redis did not read it (a payload larger than its limits):
    /// certainly nothing was added. It is safe to repeat it.
    NotSent,
    /// The request was sent and its answer was lost: it may have happened. It is safe to await
    /// the same request again.
    Unknown,
    /// The request was sent, and it cannot be known whether it was carried out: no answer came for half an
    /// hour, or Redis broke a script off in its middle. Look for the job before you repeat it.
    Unknowable,
    /// The job was added, and the [durability](crate::Durability) that was asked for was not reached within the call timeout: it may be lost
    /// with the server.
    NotDurable,
    /// A time limit set by the caller passed. What was waited for may still happen.
    Timeout,
    /// The job is no longer held by this attempt.
    LeaseLost,
    /// There is no such job (any more).
    NotFound,
    /// The job does not wait for this signal. Nothing was written.
    NotWaiting,
    /// The job failed for good and is on the dead-letter list.
    Dead,
    /// The job was cancelled: it was no longer wanted.
    Cancelled,
    /// The job is a [saga](crate::Saga) that could not be finished, and whose steps were undone.
    Compensated,
    /// The job had not started by the moment at which it expires, and never will.
    Expired,
    /// A handler waits for a job that only its own worker could run, and all slots of that worker wait so: no wait would end.
    Deadlock,
    /// A part of oxcart broke: a bug.
    Internal,
    /// Redis holds, or answered, what this version cannot read.
    Incompatible,
    /// The [store](crate::PayloadStore) of large payloads could not be reached, refused, or did not answer in time. What was to be enqueued was
    /// not.
    PayloadStore,
    /// The payload of a job is no longer in the [store](crate::PayloadStore), or is not as it was stored.
    PayloadLost,
}

/// What went wrong: a kind, a message that says what was tried and what to do, and a source.
///
/// ```
/// # use oxcart::{Backoff, Error, ErrorKind};
/// fn describe(error: &Error) -> &'static str {
///     match error.kind() {
///         ErrorKind::Invalid => "mend the call",
///         _ if error.is_retryable() => "try again",
///         _ => "look at the message",
///     }
/// }
/// ```
pub struct Error {
    kind: ErrorKind,
    message: String,
    job: Option<JobId>,
    source: Option<Source>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            job: None,
            source: None,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn with_job(mut self, id: &JobId) -> Self {
        self.job = Some(id.clone());
        self
    }

    /// Puts `what` in front of the message.
    pub(crate) fn within(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// What kind of error this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The job the error is about. For an enqueue it is the id that was chosen before anything
    /// was sent.
    #[must_use]
    pub fn job_id(&self) -> Option<&JobId> {
        self.job.as_ref()
    }

    /// Repeating the same call is safe and may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unreachable
                | ErrorKind::Refused
                | ErrorKind::NotSent
                | ErrorKind::Unknown
                | ErrorKind::Timeout
                | ErrorKind::PayloadStore
        )
    }

    /// A value is outside of what is allowed; nothing was written.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.kind == ErrorKind::Invalid
    }

    /// A value could not be turned into MessagePack, or back.
    #[must_use]
    pub fn is_codec(&self) -> bool {
        self.kind == ErrorKind::Codec
    }

    /// No connection to Redis could be made.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        self.kind == ErrorKind::Unreachable
    }

    /// What answers is not a Redis that this user can use.
    #[must_use]
    pub fn is_unsuitable(&self) -> bool {
        self.kind == ErrorKind::Unsuitable
    }

    /// Redis was reached and refused for now; nothing was written.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.kind == ErrorKind::Refused
    }

    /// A queue that was to be deleted holds open jobs, dead letters or schedules.
    #[must_use]
    pub fn is_not_empty(&self) -> bool {
        self.kind == ErrorKind::NotEmpty
    }

    /// A job of a flow is there already, or another job has its unique key; nothing was enqueued.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind == ErrorKind::Conflict
    }

    /// Certainly nothing was added: the request never reached Redis, or Redis did not read it.
    #[must_use]
    pub fn is_not_sent(&self) -> bool {
        self.kind == ErrorKind::NotSent
    }

    /// The request was sent and its answer was lost.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.kind == ErrorKind::Unknown
    }

    /// The request was sent, and it cannot be known whether it was carried out.
    #[must_use]
    pub fn is_unknowable(&self) -> bool {
        self.kind == ErrorKind::Unknowable
    }

    /// The job was added, and is not as safe as was asked for.
    #[must_use]
    pub fn is_not_durable(&self) -> bool {
        self.kind == ErrorKind::NotDurable
    }

    /// A time limit passed.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind == ErrorKind::Timeout
    }

    /// Another attempt holds the job, or may hold it by now.
    #[must_use]
    pub fn is_lease_lost(&self) -> bool {
        self.kind == ErrorKind::LeaseLost
    }

    /// There is no such job.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }

    /// The job is on the dead-letter list.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.kind == ErrorKind::Dead
    }

    /// The job was cancelled: it was no longer wanted.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.kind == ErrorKind::Cancelled
    }

    /// The job had not started by the moment at which it expires.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.kind == ErrorKind::Expired
    }

    /// A part of oxcart broke: a bug.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.kind == ErrorKind::Internal
    }

    /// Redis holds, or answered, what this version cannot read.
    #[must_use]
    pub fn is_incompatible(&self) -> bool {
        self.kind == ErrorKind::Incompatible
    }

    /// The store of large payloads could not be reached, refused, or did not answer in time.
    #[must_use]
    pub fn is_payload_store(&self) -> bool {
        self.kind == ErrorKind::PayloadStore
    }

    /// The payload of a job is no longer in the store, or is not as it was stored.
    #[must_use]
    pub fn is_payload_lost(&self) -> bool {
        self.kind == ErrorKind::PayloadLost
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Written for people: Rust prints this when `main` returns the error.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)?;
        match &self.job {
            Some(job) if !self.message.contains(job.as_str()) => write!(f, " (job {job})"),
            _ => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

/// No error has so many sources, unless its chain of sources leads back to itself.
const SOURCES_MAX: usize = 32;

/// An error and all its sources, in one line.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut said = vec![error.to_string()];
    let mut text = said[0].clone();
    let mut next = error.source();
    for _ in 0..SOURCES_MAX {
        let Some(source) = next else {
            break;
        };
        let source_text = source.to_string();
        // Many errors already show their source; it is not shown twice.
        if !text.ends_with(&source_text) && !said.contains(&source_text) {
            text.push_str(": ");
            text.push_str(&source_text);
            said.push(source_text);
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Link {
        text: &'static str,
        next: Next,
    }

    #[derive(Debug)]
    enum Next {
        Nothing,
        Itself,
        Other(&'static Link),
    }

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.text)
        }
    }

    impl StdError for Link {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            static BACK: Link = Link {
                text: "back",
                next: Next::Other(&FORTH),
            };
            static FORTH: Link = Link {
                text: "forth",
                next: Next::Other(&BACK),
            };
            match self.next {
                Next::Nothing => None,
                // Each of them has the next one for ever.
                Next::Itself => Some(&BACK),
                Next::Other(other) => Some(other),
            }
        }
    }

    #[test]
    fn an_error_that_is_its_own_source_is_told_once() {
        static OWN: Link = Link {
            text: "own",
            next: Next::Other(&OWN),
        };
        assert_eq!(chain(&OWN), "own");
        let round = Link {
            text: "it failed",
            next: Next::Itself,
        };
        assert_eq!(chain(&round), "it failed: back: forth");
    }

    /// Each source says something else.
    #[derive(Debug)]
    struct Endless;

    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            use std::sync::atomic::{AtomicU32, Ordering};
            static SAID: AtomicU32 = AtomicU32::new(0);
            write!(f, "reason {}", SAID.fetch_add(1, Ordering::Relaxed))
        }
    }

    impl StdError for Endless {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&Endless)
        }
    }

    #[test]
    fn a_chain_without_an_end_has_one_here() {
        assert_eq!(chain(&Endless).matches("reason").count(), SOURCES_MAX + 1);
    }

    #[test]
    fn what_shows_its_source_is_not_told_twice() {
        static INNER: Link = Link {
            text: "no such file",
            next: Next::Nothing,
        };
        let outer = Link {
            text: "cannot open it: no such file",
            next: Next::Other(&INNER),
        };
        assert_eq!(chain(&outer), "cannot open it: no such file");
        let outer = Link {
            text: "cannot open it",
            next: Next::Other(&INNER),
        };
        assert_eq!(chain(&outer), "cannot open it: no such file");
    }
}
