//! The stored form of a schedule: what clients read of it. The record of its jobs lies beside it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::policy::cron::CronRhythm;
use crate::policy::schedule::{Beat, Missed, Overlap, Timing};
use crate::schedule::info::Rhythm;

/// A later version that gives a schedule a new meaning raises it: whoever cannot read a schedule
/// must leave it alone.
const VERSION: u8 = 1;

/// What is left out has the default of this version, for ever.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Definition {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cron: Option<String>,
    /// UTC if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) every_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) starting_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ending_ms: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) offset_ms: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) jitter_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) missed: Missed,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) overlap: Overlap,
    /// A worker declares it in its code.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) declared: bool,
    /// The name of the jobs it makes, and what a script needs to place them.
    pub(crate) job: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<u16>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) front: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) delay_ms: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Definition {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(codec::encode_plain(self));
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => {
                rmp_serde::from_slice(rest).map_err(|source| unreadable(&source.to_string()))
            }
            Some((version, _)) => Err(unreadable(&format!(
                "it has format {version}, this version reads {VERSION}; a newer version wrote it"
            ))),
            None => Err(unreadable("its rule is missing")),
        }
    }

    pub(crate) fn timing(&self) -> Result<Timing, Error> {
        let beat = match (&self.cron, self.every_ms) {
            (Some(cron), None) => Beat::Cron(Box::new(CronRhythm::parse(cron, self.timezone())?)),
            (None, Some(ms)) => Beat::Every { ms },
            _ => return Err(unreadable("it has neither one interval nor one expression")),
        };
        let timing = Timing {
            beat,
            starting_ms: self.starting_ms,
            ending_ms: self.ending_ms,
            offset_ms: self.offset_ms,
        };
        timing.check()?;
        Ok(timing)
    }

    /// Whether both tick at the same moments.
    pub(crate) fn has_timing_of(&self, other: &Self) -> bool {
        let timing = |definition: &Self| {
            let Self {
                cron,
                timezone,
                every_ms,
                starting_ms,
                ending_ms,
                offset_ms,
                ..
            } = definition.clone();
            (cron, timezone, every_ms, starting_ms, ending_ms, offset_ms)
        };
        timing(self) == timing(other)
    }

    pub(crate) fn rhythm(&self) -> Option<Rhythm> {
        match (&self.cron, self.every_ms) {
            (Some(expression), _) => Some(Rhythm::Cron {
                expression: expression.clone(),
                timezone: self.timezone().to_owned(),
            }),
            (None, Some(ms)) => Some(Rhythm::Every(Duration::from_millis(ms))),
            (None, None) => None,
        }
    }

    fn timezone(&self) -> &str {
        self.timezone.as_deref().unwrap_or("UTC")
    }
}

/// How far a schedule is: a list that scripts keep, see `lua/lib/schedules.lua`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Progress {
    pub(crate) revision: u64,
    paused: u8,
    pub(crate) fired: u64,
    pub(crate) missed: u64,
    pub(crate) overlapped: u64,
    /// 0 before the first.
    pub(crate) last_ms: u64,
    pub(crate) outcome: String,
    pub(crate) last_job: String,
}

impl Progress {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        rmp_serde::from_slice(bytes).map_err(|source| unreadable(&source.to_string()))
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused != 0
    }
}

fn unreadable(why: &str) -> Error {
    Error::new(
        ErrorKind::Incompatible,
        format!("cannot read a stored schedule: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nightly() -> Definition {
        Definition {
            cron: Some("0 0 3 * * *".into()),
            job: "report".into(),
            ..Definition::default()
        }
    }

    #[test]
    fn golden_bytes_of_a_plain_schedule() {
        let bytes = nightly().encode();
        assert_eq!(bytes, b"\x01\x82\xa4cron\xab0 0 3 * * *\xa3job\xa6report");
        assert_eq!(Definition::decode(&bytes).unwrap(), nightly());
    }

    #[test]
    fn everything_survives_the_round_trip() {
        let full = Definition {
            cron: None,
            timezone: Some("Europe/Berlin".into()),
            every_ms: Some(500),
            starting_ms: Some(1),
            ending_ms: Some(2),
            offset_ms: 3,
            jitter_ms: 4,
            limit: Some(5),
            missed: Missed::FireAll { at_most: 6 },
            overlap: Overlap::Skip,
            declared: true,
            job: "report".into(),
            priority: Some(7),
            front: true,
            delay_ms: 8,
        };
        assert_eq!(Definition::decode(&full.encode()).unwrap(), full);
    }

    #[test]
    fn what_a_newer_version_wrote_is_not_guessed_at() {
        let mut newer = nightly().encode();
        newer[0] = 2;
        let error = Definition::decode(&newer).unwrap_err();
        assert!(error.to_string().contains("newer version"), "{error}");
        let unknown = b"\x01\x82\xa3moon\xa4full\xa3job\xa6report";
        assert!(Definition::decode(unknown).is_err());
    }

    #[test]
    fn whatever_redis_holds_reading_it_never_panics() {
        let good = nightly().encode();
        for cut in 0..good.len() {
            assert!(Definition::decode(&good[..cut]).is_err());
        }
        for position in 0..good.len() {
            for byte in [0x00, 0x7f, 0x82, 0xc1, 0xdf, 0xff] {
                let mut bad = good.clone();
                bad[position] = byte;
                let _ = Definition::decode(&bad).and_then(|read| read.timing());
            }
        }
        for bytes in [&b""[..], b"\x90", b"\x98\x01", b"\xc0", b"\xff"] {
            assert!(Progress::decode(bytes).is_err());
        }
    }
}
