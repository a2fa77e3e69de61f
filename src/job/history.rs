//! What went wrong with a job so far: one entry for each attempt; the last twenty are kept.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::time::Timestamp;

/// Longest stored error text, in bytes.
const ERROR_BYTES_MAX: usize = 4 * 1024;

/// How an attempt went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AttemptKind {
    /// The handler returned an error.
    Error,
    /// The handler panicked.
    Panic,
    /// The handler took longer than the job's time limit.
    Timeout,
    /// The worker died, or could not be heard any more.
    Stalled,
    /// No handler knew the job's name until it was given up.
    UnknownName,
    /// No handler could read the payload until it was given up.
    Undecodable,
    /// What the handler gave back cannot be stored.
    BadResult,
    /// The handler put the job off until it was given up.
    Snoozed,
    /// One of its children died ([`OnDeath::Fail`](crate::OnDeath::Fail)); the error names it. No attempt of the job itself ran.
    ChildDied,
    /// A kind that a newer version wrote.
    #[serde(other)]
    Other,
}

impl AttemptKind {
    /// The name, as it is stored and shown.
    ///
    /// ```
    /// assert_eq!(oxcart::AttemptKind::UnknownName.as_str(), "unknown-name");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::Stalled => "stalled",
            Self::UnknownName => "unknown-name",
            Self::Undecodable => "undecodable",
            Self::BadResult => "bad-result",
            Self::Snoozed => "snoozed",
            Self::ChildDied => "child-died",
            Self::Other => "other",
        }
    }
}

/// One attempt that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// When the attempt began, by the server's clock.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it went wrong.
    pub kind: AttemptKind,
    /// The error and its sources; at most 4 KiB, empty for a stall.
    pub error: String,
}

/// How an attempt went wrong, and with which error: what is written in the history of its job
/// ([`FailedAttempt`]).
// A client writes it; the script puts both times before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AttemptEntry {
    /// How it went wrong.
    pub kind: AttemptKind,
    /// The error and its sources; at most 4 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// Cuts a text that is stored with a job, at a character.
pub(crate) fn cut(text: String) -> String {
    cut_to(ERROR_BYTES_MAX, text)
}

fn cut_to(bytes: usize, mut text: String) -> String {
    if text.len() > bytes {
        let end = text.floor_char_boundary(bytes - '…'.len_utf8());
        text.truncate(end);
        text.push('…');
    }
    text
}

impl AttemptEntry {
    pub(crate) fn new(kind: AttemptKind, error: String) -> Self {
        let error = cut(error);
        Self { kind, error }
    }

    /// Cuts the error once more, where it may have been changed.
    pub(crate) fn bound(&mut self) {
        self.error = cut(std::mem::take(&mut self.error));
    }

    /// What is told of it in a lifecycle event: the cap of the stream counts ids, not bytes.
    pub(crate) fn shown(&self) -> String {
        const EVENT_BYTES_MAX: usize = 256;
        cut_to(EVENT_BYTES_MAX, self.error.clone())
    }
}

impl FailedAttempt {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let cut_short = || Error::new(ErrorKind::Incompatible, "an attempt's entry is cut short");
        let (started_at, rest) = codec::split_stamp(bytes).ok_or_else(cut_short)?;
        let (ended_at, rest) = codec::split_stamp(rest).ok_or_else(cut_short)?;
        let entry: AttemptEntry = codec::decode_plain("an attempt's entry", rest)?;
        Ok(Self {
            started_at: Timestamp::from_millis(started_at),
            ended_at: Timestamp::from_millis(ended_at),
            kind: entry.kind,
            error: entry.error,
        })
    }
}

/// The counters of a job that has failed, bounced, stalled or been snoozed; all zero for any other job. The last two are
/// stored only if it was snoozed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Attempts spent of the budget.
    pub(crate) failed: u32,
    /// How often no handler could take it.
    pub(crate) bounces: u32,
    /// Since when (server's ms) it has bounced; 0 if it never did.
    pub(crate) bounced_since_ms: u64,
    /// Entries ever recorded.
    pub(crate) recorded: u64,
    /// How often a handler has put it off.
    pub(crate) snoozes: u32,
    /// When (server's ms) a handler first put it off; 0 if none did.
    pub(crate) snoozed_since_ms: u64,
    /// Whether it has durable steps, or a checkpoint, or replies.
    pub(crate) has_steps: bool,
    /// How many replies it has sent, and how many bytes these have.
    pub(crate) replies: u64,
    pub(crate) reply_bytes: u64,
}

impl Counters {
    /// A newer version may have appended other counters, which are passed over.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let counters: Vec<u64> = codec::decode_plain("a job's counters", bytes)?;
        /// Of those behind the first four.
        const BEFORE_STEPS: usize = 3;
        const REPLIES: usize = 5;
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        match counters[..] {
            [failed, bounces, bounced_since_ms, recorded, ref others @ ..] => Ok(Self {
                failed: small(failed),
                bounces: small(bounces),
                bounced_since_ms,
                recorded,
                snoozes: small(others.first().copied().unwrap_or(0)),
                snoozed_since_ms: others.get(1).copied().unwrap_or(0),
                has_steps: others.len() > BEFORE_STEPS,
                replies: others.get(REPLIES).copied().unwrap_or(0),
                reply_bytes: others.get(REPLIES + 1).copied().unwrap_or(0),
            }),
            _ => Err(Error::new(
                ErrorKind::Incompatible,
                "a job's counters are cut short",
            )),
        }
    }

    /// The stored counters of a job that has steps, the last of them with this number, or so many children.
    pub(crate) fn with_beside(bytes: Option<Vec<u8>>, last: Option<u64>, children: u64) -> Vec<u8> {
        const STEPS: usize = 7;
        let counters =
            bytes.map(|bytes| codec::decode_plain::<Vec<u64>>("a job's counters", &bytes));
        let mut counters = counters.and_then(Result::ok).unwrap_or_default();
        counters.resize(STEPS, 0);
        counters.push(last.unwrap_or(0));
        counters.extend((children > 0).then_some(children));
        codec::encode_plain(&counters)
    }

    /// How many children the stored counters tell of.
    pub(crate) fn children(bytes: &[u8]) -> u64 {
        const CHILDREN: usize = 8;
        let counters = codec::decode_plain::<Vec<u64>>("a job's counters", bytes);
        let counters = counters.unwrap_or_default();
        counters.get(CHILDREN).copied().unwrap_or(0)
    }

    /// The stored counters without how many lines the log of the job has: where a job goes, its log does not go.
    pub(crate) fn without_log(bytes: Vec<u8>) -> Vec<u8> {
        const WITHOUT_LOG: usize = 6;
        match codec::decode_plain::<Vec<u64>>("a job's counters", &bytes) {
            Ok(counters) if counters.len() > WITHOUT_LOG => {
                codec::encode_plain(&counters[..WITHOUT_LOG])
            }
            _ => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_errors_are_cut_at_a_character() {
        let entry = AttemptEntry::new(AttemptKind::Error, "é".repeat(5_000));
        assert!(entry.error.len() <= ERROR_BYTES_MAX);
        assert!(entry.error.ends_with('…'));
        let short = AttemptEntry::new(AttemptKind::Error, "é".into());
        assert_eq!(short.error, "é");
    }

    #[test]
    fn golden_bytes_of_what_the_scripts_write() {
        // cmsgpack.pack({ 2, 1, 70000, 3 }) and cmsgpack.pack({ kind = 'stalled' }).
        let counters = Counters::decode(b"\x94\x02\x01\xce\x00\x01\x11\x70\x03").unwrap();
        assert_eq!(
            (counters.failed, counters.bounces, counters.recorded),
            (2, 1, 3)
        );
        assert_eq!(counters.bounced_since_ms, 70_000);
        assert_eq!((counters.snoozes, counters.snoozed_since_ms), (0, 0));
        let snoozed = Counters::decode(b"\x96\x00\x00\x00\x00\x02\xcd\x01\x00").unwrap();
        assert_eq!((snoozed.snoozes, snoozed.snoozed_since_ms), (2, 256));
        let mut bytes = Vec::new();
        for time in [5u64, 9] {
            bytes.push(0xcf);
            bytes.extend_from_slice(&time.to_be_bytes());
        }
        bytes.extend_from_slice(b"\x81\xa4kind\xa7stalled");
        let attempt = FailedAttempt::decode(&bytes).unwrap();
        assert_eq!(attempt.kind, AttemptKind::Stalled);
        assert_eq!(attempt.ended_at.as_millis(), 9);
        assert!(FailedAttempt::decode(&bytes[..20]).is_err());
    }
}
