//! Durable steps of a job, as they are stored: what is written, read, and refused.

use crate::error::{Error, ErrorKind};
use crate::policy::key::{decode_key, encode_key};

/// No job has more steps.
pub(crate) const STEPS_MAX: u32 = 256;
/// How long the name of a step may be, in bytes.
pub(crate) const NAME_MAX: usize = 128;

/// What a step is, and what has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// It was done; it has an output.
    Done,
    /// The job sleeps until it is due.
    Sleep,
    /// The job waits for a signal, until it is due or without end.
    Wait,
    /// The signal has come; it has a value.
    Signal,
    /// No signal has come in time.
    Over,
    /// The job has added children, and waits for them; the value says which.
    Children,
    /// A step of a saga has begun; whether it took effect is not known.
    Begun,
    /// A step of a saga returned an error, which is its value: it had no effect.
    Failed,
    /// A step of a saga was done, and is undone; it has the output that it had.
    Undone,
    /// The same, but its undo was left out.
    Skipped,
}

impl StepKind {
    const ALL: [Self; 10] = [
        Self::Done,
        Self::Sleep,
        Self::Wait,
        Self::Signal,
        Self::Over,
        Self::Children,
        Self::Begun,
        Self::Failed,
        Self::Undone,
        Self::Skipped,
    ];

    /// What a step of a saga may be.
    pub(crate) const OF_SAGAS: &[Self] = &[
        Self::Begun,
        Self::Done,
        Self::Failed,
        Self::Undone,
        Self::Skipped,
    ];

    /// The word that is stored.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Sleep => "sleep",
            Self::Wait => "wait",
            Self::Signal => "signal",
            Self::Over => "over",
            Self::Children => "children",
            Self::Begun => "begun",
            Self::Failed => "failed",
            Self::Undone => "undone",
            Self::Skipped => "skipped",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// Whether a step of a saga has an output, whatever has become of it since.
    pub(crate) fn was_done(self) -> bool {
        matches!(self, Self::Done | Self::Undone | Self::Skipped)
    }

    /// What a step of a saga was before it is this.
    #[allow(
        dead_code,
        reason = "only queues in memory ask for it, and these are a feature"
    )]
    pub(crate) fn follows(self) -> Option<Self> {
        match self {
            Self::Begun => Some(Self::Failed),
            Self::Done | Self::Failed => Some(Self::Begun),
            Self::Undone => Some(Self::Done),
            _ => None,
        }
    }
}

/// A step that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredStep {
    pub(crate) kind: StepKind,
    /// When it was stored, by the server's clock.
    pub(crate) at_ms: u64,
    /// When a sleep or a wait ends; none: never.
    pub(crate) due_ms: Option<u64>,
    pub(crate) name: String,
    /// The output, or the value of the signal, encoded.
    pub(crate) value: Vec<u8>,
}

impl StoredStep {
    /// `<kind> <at ms> <due ms or 0> <name> <value>`.
    pub(crate) fn decode(stored: &[u8]) -> Result<Self, Error> {
        let read = || {
            let mut words = stored.splitn(5, |byte| *byte == b' ');
            let mut word = || std::str::from_utf8(words.next()?).ok();
            let kind = word()?;
            let kind = StepKind::parse(kind)?;
            let at_ms = word()?.parse().ok()?;
            let due_ms = word()?.parse().ok()?;
            let name = decode_key(word()?).into_owned();
            Some(Self {
                kind,
                at_ms,
                due_ms: Some(due_ms).filter(|due_ms| *due_ms > 0),
                name,
                value: words.next()?.to_vec(),
            })
        };
        read().ok_or_else(|| {
            Error::new(
                ErrorKind::Incompatible,
                "a stored step of a job cannot be read: it was written by a newer version, or by another program",
            )
        })
    }
}

/// The name of a step as it is stored.
pub(crate) fn encode_name(name: &str) -> String {
    encode_key(name)
}

/// Refuses a name that no step can have.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(Error::invalid(format!(
            "the name of a step has 1 to {NAME_MAX} bytes; {name:?} has {}",
            name.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_step_is_read_as_it_was_written() {
        let stored = StoredStep::decode(b"wait 1700 0 may%20I \x00 \xff").unwrap();
        assert_eq!(stored.kind, StepKind::Wait);
        assert_eq!((stored.at_ms, stored.due_ms), (1_700, None));
        assert_eq!(stored.name, "may I");
        assert_eq!(stored.value, b"\x00 \xff");
        let sleeps = StoredStep::decode(b"sleep 5 9 night ").unwrap();
        assert_eq!((sleeps.due_ms, sleeps.value.len()), (Some(9), 0));
        for kind in StepKind::ALL {
            let stored = format!("{} 1 2 {} x", kind.as_str(), encode_name("ü b%"));
            let read = StoredStep::decode(stored.as_bytes()).unwrap();
            assert_eq!((read.kind, read.name.as_str()), (kind, "ü b%"));
        }
    }

    #[test]
    fn what_is_no_step_is_refused() {
        for odd in [
            "",
            "done",
            "done 1 2 name",
            "newer 1 2 a b",
            "done x 2 a b",
            "done 1 -2 a b",
        ] {
            let error = StoredStep::decode(odd.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Incompatible, "{odd}");
        }
        assert!(check_name("").is_err());
        assert!(check_name(&"x".repeat(NAME_MAX)).is_ok());
        assert!(check_name(&"x".repeat(NAME_MAX + 1)).is_err());
    }
}
