//! The stored form of a schedule: what clients read of it. The record of its jobs lies beside it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::cron::ParsedCron;
use crate::error::{Error, ErrorKind};
use crate::policy::schedule::{Missed, Overlap, ParsedRhythm, Timing};
use crate::schedule::info::Rhythm;
use crate::store::schedules::{ScheduleState, StoredSchedule};
use crate::time::check_wait;

/// A later version that gives a schedule a new meaning raises this number: a client that does not know the number
/// must leave the schedule alone.
const VERSION: u8 = 1;

/// A field that is left out has the default of this version, for ever.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rule {
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

impl Rule {
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

    /// When it ticks, if what is to become of the ticks can be done as well.
    pub(crate) fn checked(&self) -> Result<Timing, Error> {
        self.missed.check()?;
        check_wait("the jitter", self.jitter_ms)?;
        check_wait("the delay", self.delay_ms)?;
        self.timing()
    }

    pub(crate) fn timing(&self) -> Result<Timing, Error> {
        let rhythm = match (&self.cron, self.every_ms) {
            (Some(cron), None) => {
                ParsedRhythm::Cron(Box::new(ParsedCron::parse(cron, self.timezone())?))
            }
            (None, Some(ms)) => ParsedRhythm::Every { ms },
            _ => return Err(unreadable("it has neither one interval nor one expression")),
        };
        let timing = Timing {
            rhythm,
            starting_ms: self.starting_ms,
            ending_ms: self.ending_ms,
            offset_ms: self.offset_ms,
        };
        timing.check()?;
        Ok(timing)
    }

    /// Whether both are the same schedule. It makes no difference whether code declares it or a caller awaits it.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let declared = other.declared;
        Self {
            declared,
            ..self.clone()
        } == *other
    }

    /// Whether both tick at the same moments.
    pub(crate) fn has_timing_of(&self, other: &Self) -> bool {
        let timing = |rule: &Self| {
            let Self {
                cron,
                timezone,
                every_ms,
                starting_ms,
                ending_ms,
                offset_ms,
                ..
            } = rule.clone();
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

/// What is stored under a schedule's name, as far as this version can read it.
pub(crate) struct Decoded {
    pub(crate) rule: Rule,
    pub(crate) timing: Timing,
    pub(crate) state: ScheduleState,
}

pub(crate) fn decode(stored: &StoredSchedule) -> Result<Decoded, Error> {
    let rule = Rule::decode(&stored.rule)?;
    let state = decode_state(&stored.state)?;
    // A later version may know more expressions, more zones, and other limits.
    let timing = rule.checked();
    let timing = timing.map_err(|error| unreadable(&error.to_string()))?;
    // The record of a job is never empty.
    if stored.job_bytes == 0 {
        return Err(unreadable("the job that it makes is missing"));
    }
    Ok(Decoded {
        rule,
        timing,
        state,
    })
}

pub(crate) fn decode_state(bytes: &[u8]) -> Result<ScheduleState, Error> {
    rmp_serde::from_slice(bytes).map_err(|source| unreadable(&source.to_string()))
}

/// Says which schedule it is that cannot be read, and what to do about it.
pub(crate) fn left_alone(error: Error, name: &str) -> Error {
    error.within(format!(
        "the schedule `{name}` is left alone (remove it to replace it, or run a version that can \
         read it)"
    ))
}

pub(crate) fn unreadable(why: &str) -> Error {
    Error::new(
        ErrorKind::Incompatible,
        format!("cannot read a stored schedule: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nightly() -> Rule {
        Rule {
            cron: Some("0 0 3 * * *".into()),
            job: "report".into(),
            ..Rule::default()
        }
    }

    #[test]
    fn golden_bytes_of_a_plain_schedule() {
        let bytes = nightly().encode();
        assert_eq!(bytes, b"\x01\x82\xa4cron\xab0 0 3 * * *\xa3job\xa6report");
        assert_eq!(Rule::decode(&bytes).unwrap(), nightly());
    }

    #[test]
    fn everything_survives_the_round_trip() {
        let full = Rule {
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
        assert_eq!(Rule::decode(&full.encode()).unwrap(), full);
    }

    #[test]
    fn what_a_newer_version_wrote_is_not_guessed_at() {
        let mut newer = nightly().encode();
        newer[0] = 2;
        let error = Rule::decode(&newer).unwrap_err();
        assert!(error.to_string().contains("newer version"), "{error}");
        let unknown = b"\x01\x82\xa3moon\xa4full\xa3job\xa6report";
        assert!(Rule::decode(unknown).is_err());
    }

    #[test]
    fn g7_what_is_beyond_the_limits_of_this_version_is_not_tried() {
        let read = |rule: Rule| {
            decode(&StoredSchedule {
                name: "nightly".to_owned(),
                tick_ms: Some(1),
                lost: false,
                rule: rule.encode(),
                state: b"\x98\x01\0\0\0\0\0\xa0\xa0".to_vec(),
                job_bytes: 1,
                last_job_state: None,
            })
        };
        assert!(read(nightly()).is_ok());
        let at_most = u32::MAX;
        for beyond in [
            Rule {
                missed: Missed::FireAll { at_most },
                ..nightly()
            },
            Rule {
                jitter_ms: u64::MAX,
                ..nightly()
            },
            Rule {
                delay_ms: u64::MAX,
                ..nightly()
            },
        ] {
            let error = read(beyond).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
        }
    }

    #[test]
    fn whatever_redis_holds_reading_it_never_panics() {
        let good = nightly().encode();
        for cut in 0..good.len() {
            assert!(Rule::decode(&good[..cut]).is_err());
        }
        for position in 0..good.len() {
            for byte in [0x00, 0x7f, 0x82, 0xc1, 0xdf, 0xff] {
                let mut bad = good.clone();
                bad[position] = byte;
                let _ = Rule::decode(&bad).and_then(|read| read.timing());
            }
        }
        for bytes in [&b""[..], b"\x90", b"\x98\x01", b"\xc0", b"\xff"] {
            assert!(decode_state(bytes).is_err());
        }
    }
}
