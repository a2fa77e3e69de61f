//! How an attempt ends, and how a job ends.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::job::history::AttemptEntry;
use crate::time::Timestamp;

/// How one attempt ends: exactly one of these, decided in one place, stored by one verb.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// The handler succeeded; its result as MessagePack.
    Completed(Vec<u8>),
    /// It failed and is tried again.
    Retry {
        after: Duration,
        entry: AttemptEntry,
    },
    /// It failed for good.
    Dead {
        reason: DeadReason,
        entry: AttemptEntry,
    },
    /// It is no longer wanted.
    Cancelled(String),
    /// Handed back to its exact place, no attempt burnt.
    Released,
    /// No handler here can take it; others may. No attempt burnt. With a name, it waits in its place
    /// for a worker that has a handler of that name, and any worker looks at it again after the time
    /// `after`; without, it is delayed by that time.
    Bounced {
        after: Duration,
        entry: AttemptEntry,
        name: Option<String>,
    },
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
