//! How an attempt ends, and how a job ends.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::codec::{self, Dialect};
use crate::error::{Error, ErrorKind};
use crate::job::history::AttemptEntry;
use crate::time::Timestamp;

/// How one attempt ended, and what becomes of its job.
///
/// The worker decides it in one place, from what the handler returned, a panic, the time limit and
/// the attempts that are left. [Middleware](crate::Middleware) holds it before it is stored;
/// [`WorkerEvent::Ended`](crate::WorkerEvent::Ended) tells it when it is stored.
///
/// ```
/// use oxcart::Outcome;
///
/// fn is_for_the_person_on_call(outcome: &Outcome) -> bool {
///     match outcome {
///         Outcome::Dead { .. } => true,                          // no further attempt
///         Outcome::Retry { entry, .. } => entry.error.contains("disk full"),
///         _ => false,
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler succeeded; what it gave back.
    Completed(Output),
    /// The attempt failed, and the job is tried again.
    #[non_exhaustive]
    Retry {
        /// The job waits for this long.
        after: Duration,
        /// What went wrong.
        entry: AttemptEntry,
    },
    /// The handler put the job off ([`Failure::snooze`](crate::Failure::snooze)). The attempt is not counted.
    #[non_exhaustive]
    Snoozed {
        /// The job waits for this long.
        after: Duration,
    },
    /// The handler waits for a moment or for a signal ([`Context::sleep`](crate::Context::sleep),
    /// [`Context::wait_for`](crate::Context::wait_for)). The job is put aside without a slot, and the attempt is not counted.
    #[non_exhaustive]
    Suspended {
        /// The job waits for this long at most; none: until the signal comes.
        after: Option<Duration>,
        /// The numbers of the steps that it waits for.
        steps: Vec<u32>,
    },
    /// The attempt failed, and no other follows: the job is on the dead-letter list.
    #[non_exhaustive]
    Dead {
        /// Why there is no further attempt.
        reason: DeadReason,
        /// What went wrong.
        entry: AttemptEntry,
    },
    /// The job is no longer wanted, and why: the handler said so ([`Failure::cancel`](crate::Failure::cancel)), or the application
    /// asked for it while the job ran ([`Queue::cancel`](crate::Queue::cancel)).
    Cancelled(String),
    /// The job is a [saga](crate::Saga) that could not be finished, and all of its steps were undone; why it could not.
    Compensated(String),
    /// The handler was told to wait ([`Failure::rate_limited`](crate::Failure::rate_limited)). The job goes back to its
    /// exact place, the attempt is not counted, and no job of the queue, or of the job's group, if it has one, starts for this long.
    #[non_exhaustive]
    RateLimited {
        /// The queue or the group waits for this long: 100 ms to one day.
        after: Duration,
    },
    /// The job goes back to its exact place, and the attempt is not counted: the worker stops, or
    /// its lease has run out. Middleware that gives it for another reason has the job back at once: it is the next in
    /// line.
    Released,
    /// No handler of this worker can run the job, and another worker may have such a handler. The attempt is not counted.
    #[non_exhaustive]
    Bounced {
        /// With a name: any worker looks at the job again after this time. Without: the job is
        /// delayed by this time.
        after: Duration,
        /// Why: the name that has no handler here, or what cannot be read.
        entry: AttemptEntry,
        /// The job waits in its place for a worker that has a handler of this name.
        name: Option<String>,
    },
    /// Another attempt has the job, so nothing of this attempt is stored.
    LeaseLost,
}

impl Outcome {
    /// The outcome in one word, for a label of a metric: `completed`, `retry`, `snoozed`, `suspended`, `dead`, `cancelled`, `compensated`,
    /// `rate-limited`, `released`, `bounced`, `lease-lost`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Completed(_) => "completed",
            Self::Retry { .. } => "retry",
            Self::Snoozed { .. } => "snoozed",
            Self::Suspended { .. } => "suspended",
            Self::Dead { .. } => "dead",
            Self::Cancelled(_) => "cancelled",
            Self::Compensated(_) => "compensated",
            Self::RateLimited { .. } => "rate-limited",
            Self::Released => "released",
            Self::Bounced { .. } => "bounced",
            Self::LeaseLost => "lease-lost",
        }
    }

    /// Whether the handler succeeded.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        matches!(self, Self::Completed(_))
    }

    /// What went wrong, if anything did: of an attempt that is repeated, dead or bounced.
    #[must_use]
    pub fn error(&self) -> Option<&AttemptEntry> {
        match self {
            Self::Retry { entry, .. } | Self::Dead { entry, .. } | Self::Bounced { entry, .. } => {
                Some(entry)
            }
            Self::Completed(_)
            | Self::Snoozed { .. }
            | Self::Suspended { .. }
            | Self::Cancelled(_)
            | Self::Compensated(_)
            | Self::RateLimited { .. }
            | Self::Released
            | Self::LeaseLost => None,
        }
    }
}

/// The word of [`as_str`](Self::as_str), and the error or the reason if there is one.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Cancelled(reason) | Self::Compensated(reason) => write!(f, ": {reason}"),
            other => match other.error() {
                Some(entry) => write!(f, ": {}", entry.error),
                None => Ok(()),
            },
        }
    }
}

/// What a handler gave back, as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Output(Vec<u8>);

impl Output {
    pub(crate) fn new(encoded: Vec<u8>) -> Self {
        Self(encoded)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// What the handler gave back, as the [`Output`](crate::Job::Output) of its job, or any other type that can
    /// be read from it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if it cannot be read as a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        codec::decode("a job's result", &self.0, Dialect::Readable)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({} bytes)", self.size())
    }
}

/// Why a job is on the dead-letter list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DeadReason {
    /// Every attempt failed.
    AttemptsSpent,
    /// The handler said that no retry will help.
    Declared,
    /// For too long no worker had a handler of its name.
    UnknownName,
    /// For too long no handler could read its payload.
    Undecodable,
    /// Its worker died once too often while it ran.
    Poisoned,
    /// Its handler has put it off for too long ([`WorkerBuilder::snooze_for`](crate::WorkerBuilder::snooze_for)).
    SnoozedTooLong,
    /// It is a [saga](crate::Saga) that is to be undone, and one of its steps cannot be undone.
    Stuck,
    /// One of its [children](crate::Flow) died, and its death was to mean this ([`OnDeath::Fail`](crate::OnDeath::Fail)). The last entry of
    /// its [history](crate::JobInfo::history) says which.
    ChildDied,
    /// A reason that a newer version wrote.
    #[serde(other)]
    Other,
}

impl DeadReason {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AttemptsSpent => "attempts-spent",
            Self::Declared => "declared",
            Self::UnknownName => "unknown-name",
            Self::Undecodable => "undecodable",
            Self::Poisoned => "poisoned",
            Self::SnoozedTooLong => "snoozed-too-long",
            Self::Stuck => "stuck",
            Self::ChildDied => "child-died",
            Self::Other => "other",
        }
    }

    pub(crate) fn parse(name: &str) -> Self {
        [
            Self::AttemptsSpent,
            Self::Declared,
            Self::UnknownName,
            Self::Undecodable,
            Self::Poisoned,
            Self::SnoozedTooLong,
            Self::Stuck,
            Self::ChildDied,
        ]
        .into_iter()
        .find(|reason| reason.as_str() == name)
        .unwrap_or(Self::Other)
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a finished job ended, as it is stored behind the time at which it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ending {
    /// The result, as version 1 encoded it.
    #[serde(rename = "ok")]
    OldOk(ByteBuf),
    #[serde(rename = "v2")]
    Ok(ByteBuf),
    Cancelled(String),
    /// A saga that was undone; its state is that of a cancelled job.
    Compensated(String),
    /// It did not start in time; its state is that of a cancelled job.
    Expired,
    Dead(DeadReason),
}

impl Ending {
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Timestamp, Self), Error> {
        let (at_ms, rest) = codec::split_stamp(bytes)
            .ok_or_else(|| Error::new(ErrorKind::Incompatible, "a job's outcome is cut short"))?;
        let ending = codec::decode_plain("a job's outcome", rest)?;
        Ok((Timestamp::from_millis(at_ms), ending))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_endings() {
        let ok = codec::encode_plain(&Ending::Ok(ByteBuf::from(vec![0x2a])));
        assert_eq!(ok, b"\x81\xa2v2\xc4\x01\x2a");
        let old: Ending = codec::decode_plain("test", b"\x81\xa2ok\xc4\x01\x2a").unwrap();
        assert_eq!(old, Ending::OldOk(ByteBuf::from(vec![0x2a])));
        // cmsgpack.pack({ dead = 'poisoned' }), as the scripts write it.
        let dead: Ending = codec::decode_plain("test", b"\x81\xa4dead\xa8poisoned").unwrap();
        assert_eq!(dead, Ending::Dead(DeadReason::Poisoned));
    }

    #[test]
    fn reasons_parse_back_and_unknown_ones_are_kept_readable() {
        assert_eq!(DeadReason::parse("declared"), DeadReason::Declared);
        assert_eq!(DeadReason::parse("from-the-future"), DeadReason::Other);
        let newer: Ending = codec::decode_plain("test", b"\x81\xa4dead\xa5newer").unwrap();
        assert_eq!(newer, Ending::Dead(DeadReason::Other));
    }
}
