//! The stored form of a job: written once, never changed.
//!
//! `version byte · MessagePack uint64 (enqueued at, ms) · place, as text · space · fields · MessagePack map`. The high bit of
//! the version byte says that the payload lies in the `payloads` hash.
//!
//! What scripts read stands before the map, because Redis' own MessagePack does not know the binary type that payloads
//! have: the head. Each of its fields is `name=value` and a space; a job that needs none has none. The first byte of a map is
//! above all of ASCII, so it ends the head. A client sends the fields and the map; the script that stores the record puts
//! before them what only it knows. So a new field passes through `enqueue`, schedules and the memory twin as it is.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

use crate::codec::{self, Dialect};
use crate::error::{Error, ErrorKind};
use crate::job::head::{
    EXTERNAL_PAYLOAD, WITH_TRAITS, field_in, fields_of, split_fields, split_place,
};
use crate::job::options::{ATTEMPTS_DEFAULT, JobOptions};
use crate::job::traits::{self, ORDER, Traits};
use crate::policy::backoff::Backoff;
use crate::policy::retention::Retention;
use crate::time::{Timestamp, millis};

/// Version 1 knew only payloads of the first dialect. The map of a record says which dialect its
/// payload has, because a schedule keeps the map as it was written, whichever version fires it.
pub(crate) const VERSION: u8 = 2;
const OLDEST: u8 = 1;

/// Payloads over this size are stored apart from the record, so that moving jobs never moves
/// megabytes.
pub(crate) const INLINE_PAYLOAD_MAX: usize = 2 * 1024;

/// A field that is left out has the default of this version, for ever: the record stays readable.
#[derive(Serialize, Deserialize)]
struct Body<'a> {
    /// The name, of a job whose payload is in the readable dialect.
    #[serde(
        borrow,
        default,
        rename = "type",
        skip_serializing_if = "Option::is_none"
    )]
    name: Option<Cow<'a, str>>,
    /// The name, where version 1 wrote it: the payload is in the binary dialect.
    #[serde(
        borrow,
        default,
        rename = "name",
        skip_serializing_if = "Option::is_none"
    )]
    old_name: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    backoff: Option<Backoff>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
}

/// The field of the head with the job's own retention (ms), if it has one. The script of `cancel`
/// reads it, which ends jobs that no worker has read.
const KEEP_MS: &str = "keep_ms";
/// A record on its way to Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EncodedRecord {
    /// The fields of the head, and the map.
    pub(crate) record: Vec<u8>,
    /// The payload, where it is too large for the record.
    pub(crate) external_payload: Option<Vec<u8>>,
    /// The head has a trait.
    pub(crate) traits: bool,
}

impl EncodedRecord {
    pub(crate) fn new(
        name: &str,
        payload: Vec<u8>,
        options: &JobOptions,
        headers: Vec<(String, String)>,
    ) -> Self {
        let external = payload.len() > INLINE_PAYLOAD_MAX;
        let body = Body {
            name: Some(name.into()),
            old_name: None,
            payload: (!external).then(|| Bytes::new(&payload)),
            attempts: options.attempts.filter(|n| *n != ATTEMPTS_DEFAULT),
            backoff: options.backoff.clone(),
            timeout_ms: options.timeout.map(millis),
            headers,
        };
        let mut record = Vec::with_capacity(64 + if external { 0 } else { payload.len() });
        if let Some(keep) = options.keep {
            record.extend(format!("{KEEP_MS}={} ", keep.as_millis()).into_bytes());
        }
        let traits = traits::write(&mut record, name, options);
        rmp_serde::encode::write_named(&mut record, &body)
            .expect("plain data always encodes into memory");
        Self {
            record,
            external_payload: external.then_some(payload),
            traits,
        }
    }

    /// One that a schedule has kept.
    pub(crate) fn kept(record: Vec<u8>, external_payload: Option<Vec<u8>>) -> Self {
        let (fields, _) = split_fields(&record);
        let traits = traits::are_in(fields);
        Self {
            record,
            external_payload,
            traits,
        }
    }

    /// The job runs after others with the same key.
    #[allow(
        dead_code,
        reason = "only queues in memory ask for it, and these are a feature"
    )]
    pub(crate) fn is_ordered(&self) -> bool {
        self.traits && self.field(ORDER).is_some()
    }

    /// The value of a field of the head, as it is stored.
    #[allow(
        dead_code,
        reason = "only queues in memory ask for it, and these are a feature"
    )]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field_in(split_fields(&self.record).0, name)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.record.len() + self.external_payload.as_ref().map_or(0, Vec::len)
    }
}

/// A record as it comes back from Redis.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) enqueued_at: Timestamp,
    pub(crate) name: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) dialect: Dialect,
    pub(crate) priority: u16,
    pub(crate) attempts: u32,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) keep: Option<Retention>,
    pub(crate) headers: Vec<(String, String)>,
    /// What decides when the job may run.
    pub(crate) traits: Traits,
}

impl Record {
    /// `external` is the payload that was stored apart, if it was.
    pub(crate) fn decode(bytes: &[u8], external: Option<Vec<u8>>) -> Result<Self, Error> {
        let unreadable = |why: String| {
            Error::new(
                ErrorKind::Incompatible,
                format!("cannot read a job's record: {why}"),
            )
        };
        let (version, rest) = bytes
            .split_first()
            .ok_or_else(|| unreadable("it is empty".into()))?;
        let format = version & !EXTERNAL_PAYLOAD;
        if !(OLDEST..=WITH_TRAITS).contains(&format) {
            return Err(unreadable(format!(
                "it has format {format}, this version reads {OLDEST} to {WITH_TRAITS}; a newer version \
                 wrote it"
            )));
        }
        let cut_short = || unreadable("it is cut short".into());
        let (enqueued_at, rest) = codec::split_stamp(rest).ok_or_else(cut_short)?;
        let (priority, rest) = split_place(rest).ok_or_else(cut_short)?;
        let (fields, body) = split_fields(rest);
        let body: Body<'_> =
            rmp_serde::from_slice(body).map_err(|source| unreadable(source.to_string()))?;
        let (name, dialect) = match (body.name, body.old_name) {
            (Some(name), _) => (name, Dialect::Readable),
            (None, Some(name)) => (name, Dialect::Binary),
            (None, None) => return Err(unreadable("the name of its type is missing".into())),
        };
        let payload = match (body.payload, external) {
            (Some(inline), _) => inline.to_vec(),
            (None, Some(external)) => external,
            (None, None) => return Err(unreadable("its payload is missing".into())),
        };
        Ok(Self {
            enqueued_at: Timestamp::from_millis(enqueued_at),
            payload,
            dialect,
            priority,
            attempts: body.attempts.unwrap_or(ATTEMPTS_DEFAULT),
            backoff: body.backoff,
            timeout: body.timeout_ms.map(Duration::from_millis),
            keep: retention_in(fields),
            traits: Traits::of(fields, &name),
            headers: body.headers,
            name: name.into_owned(),
        })
    }
}

fn retention_in(fields: &[u8]) -> Option<Retention> {
    let ms = field_in(fields, KEEP_MS)?.parse().ok()?;
    Some(Retention::from_millis(ms))
}

/// For how long the job of a stored record asks to be kept, if it does; only the head is read.
#[allow(
    dead_code,
    reason = "only queues in memory ask for it, and these are a feature"
)]
pub(crate) fn retention_of(record: &[u8]) -> Option<Retention> {
    retention_in(fields_of(record)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::head::PRIORITY_STEP;

    /// What the enqueue script makes of a record.
    fn stored(encoded: &EncodedRecord, at: u64, place: i64) -> Vec<u8> {
        let external = encoded.external_payload.is_some();
        let version = if external {
            VERSION | EXTERNAL_PAYLOAD
        } else {
            VERSION
        };
        let mut bytes = vec![version, 0xcf];
        bytes.extend_from_slice(&at.to_be_bytes());
        bytes.extend_from_slice(format!("{place} ").as_bytes());
        bytes.extend_from_slice(&encoded.record);
        bytes
    }

    #[test]
    fn golden_bytes_of_a_default_record() {
        let encoded = EncodedRecord::new("hi", vec![0xc0], &JobOptions::new(), Vec::new());
        assert_eq!(encoded.record, b"\x82\xa4type\xa2hi\xa7payload\xc4\x01\xc0");
    }

    /// As version 1 stored them: in jobs, and in schedules that any later version may fire.
    #[test]
    fn records_of_version_1_are_read_as_they_were_written() {
        const MAP: &[u8] = b"\x82\xa4name\xa2hi\xa7payload\xc4\x01\xc0";
        for version in [1, VERSION] {
            let bytes = [&[version, 0xcf, 0, 0, 0, 0, 0, 0, 0, 5][..], b"1 ", MAP].concat();
            let record = Record::decode(&bytes, None).unwrap();
            assert_eq!(
                (record.name.as_str(), &record.payload[..]),
                ("hi", &[0xc0][..])
            );
            assert_eq!(record.dialect, Dialect::Binary);
        }
        let apart = b"\x81\xcf\0\0\0\0\0\0\0\x051 \x81\xa4name\xa2hi";
        let record = Record::decode(apart, Some(vec![7])).unwrap();
        assert_eq!(
            (&record.payload[..], record.dialect),
            (&[7][..], Dialect::Binary)
        );
    }

    #[test]
    fn all_options_survive_the_round_trip() {
        let options = JobOptions::new()
            .attempts(3)
            .priority(7)
            .backoff(Backoff::fixed(Duration::from_secs(2)))
            .timeout(Duration::from_secs(9))
            .keep(Retention::Nothing);
        let headers = vec![("trace".to_owned(), "abc".to_owned())];
        let encoded = EncodedRecord::new("hi", vec![1, 2, 3], &options, headers.clone());
        let record =
            Record::decode(&stored(&encoded, 12_345, -493 * PRIORITY_STEP + 3), None).unwrap();
        assert_eq!(record.enqueued_at.as_millis(), 12_345);
        assert_eq!(record.payload, [1, 2, 3]);
        assert_eq!(record.dialect, Dialect::Readable);
        assert_eq!((record.attempts, record.priority), (3, 7));
        assert_eq!(record.backoff, options.backoff);
        assert_eq!(record.timeout, options.timeout);
        assert_eq!(record.keep, Some(Retention::Nothing));
        assert_eq!(record.headers, headers);
    }

    #[test]
    fn fields_stand_in_the_head_and_those_that_are_not_known_are_passed_over() {
        let options = JobOptions::new().keep(Retention::For(Duration::from_millis(1_500)));
        let encoded = EncodedRecord::new("hi", vec![0xc0], &options, Vec::new());
        assert!(encoded.record.starts_with(b"keep_ms=1500 \x82\xa4type"));
        let bytes = stored(&encoded, 5, 3);
        assert_eq!(retention_of(&bytes), options.keep);
        let newer = [&bytes[..12], b"new=~!x keep_ms_too=1 ", &bytes[12..]].concat();
        let record = Record::decode(&newer, None).unwrap();
        assert_eq!((record.keep, record.name.as_str()), (options.keep, "hi"));
        let plain = EncodedRecord::new("hi", vec![0xc0], &JobOptions::new(), Vec::new());
        assert_eq!(retention_of(&stored(&plain, 5, 3)), None);
    }

    #[test]
    fn large_payloads_lie_apart() {
        let large = vec![7; INLINE_PAYLOAD_MAX + 1];
        let encoded = EncodedRecord::new("hi", large.clone(), &JobOptions::new(), Vec::new());
        assert!(encoded.record.len() < 32);
        let bytes = stored(&encoded, 0, 1);
        let record = Record::decode(&bytes, encoded.external_payload).unwrap();
        assert_eq!(record.payload, large);
        assert!(Record::decode(&bytes, None).is_err());
    }

    #[test]
    fn the_priority_is_read_from_the_place() {
        let priority = |place: &str| split_place(format!("{place} rest").as_bytes()).map(|p| p.0);
        assert_eq!(priority("1"), Some(500));
        assert_eq!(priority("-1"), Some(500), "at the front");
        assert_eq!(priority(&(-500 * PRIORITY_STEP).to_string()), Some(0));
        assert_eq!(priority(&(523 * PRIORITY_STEP - 9).to_string()), Some(1023));
        assert_eq!(priority("1e9"), None);
        assert_eq!(priority(&i64::MAX.to_string()), None);
    }

    #[test]
    fn whatever_redis_holds_decoding_never_panics() {
        let encoded = EncodedRecord::new("hi", vec![1; 40], &JobOptions::new(), Vec::new());
        let good = stored(&encoded, 1, 1);
        for cut in 0..good.len() {
            assert!(Record::decode(&good[..cut], None).is_err());
        }
        for position in 0..good.len() {
            for byte in [0x00, 0x7f, 0x82, 0xc1, 0xdf, 0xff] {
                let mut bad = good.clone();
                bad[position] = byte;
                let _ = Record::decode(&bad, None);
            }
        }
        let newer = Record::decode(&[4, 0], None).unwrap_err();
        assert!(newer.to_string().contains("newer version"), "{newer}");
    }
}
