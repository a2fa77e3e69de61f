//! The stored form of a job: written once, and changed only by an edit, while no worker has the job.
//!
//! `version byte · MessagePack uint64 (enqueued at, ms) · place, as text · space · fields · MessagePack map`. The high bit of
//! the version byte says that the payload lies in the `payloads` hash.
//!
//! What scripts read stands before the map, because Redis' own MessagePack does not know the binary type that payloads
//! have: the head. Each of its fields is `name=value` and a space; a job that needs none has none. The first byte of a map is
//! above all of ASCII, so it ends the head. A client sends the fields and the map; the script that stores the record puts
//! before them what only it knows. So a new field passes through `enqueue`, schedules and the memory twin as it is.

mod tickets;

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

use crate::codec::{self, Dialect};
use crate::error::{Error, ErrorKind};
use crate::job::head::{
    EXTERNAL_PAYLOAD, WITH_TRAITS, field_in, fields_of, split_fields, split_place,
};
use crate::job::headers;
use crate::job::options::{ATTEMPTS_DEFAULT, JobOptions};
use crate::job::secret::{decode_names, encode_names};
use crate::job::traits::{self, ORDER, Traits};
use crate::job::version::FIRST;
use crate::policy::backoff::Backoff;
use crate::policy::retention::Retention;
use crate::time::{Timestamp, millis};

pub(crate) use tickets::stored_ticket;

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
    /// The payload is a ticket: what it stands for is in a store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ticket: bool,
}

/// The field of the head with the job's own retention (ms), if it has one. The script of `cancel`
/// reads it, which ends jobs that no worker has read.
const KEEP_MS: &str = "keep_ms";
/// The field with what a start of the job counts, if that is not 1. The script of `advance` reads it if a rate is set for
/// the queue.
const WEIGHT: &str = "weight";
/// The field with the names of the fields of the payload that are not shown, if there are any. Only clients read it.
const SECRET: &str = "secret";
/// The field with the version of the payload, if it is not the first. Only clients read it.
const VERSION_OF_PAYLOAD: &str = "version";

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
            ticket: false,
        };
        let mut record = Vec::with_capacity(64 + if external { 0 } else { payload.len() });
        if let Some(keep) = options.keep {
            record.extend(format!("{KEEP_MS}={} ", keep.as_millis()).into_bytes());
        }
        if let Some(weight) = options.weight.filter(|weight| *weight != 1) {
            record.extend(format!("{WEIGHT}={weight} ").into_bytes());
        }
        if !options.secret.is_empty() {
            record.extend(format!("{SECRET}={} ", encode_names(options.secret)).into_bytes());
        }
        write_version(&mut record, options.version.unwrap_or(FIRST));
        let traits = traits::write(&mut record, name, options);
        Self {
            record: written(record, &body),
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

    /// What it says, as it is read once it is stored.
    pub(crate) fn read(&self) -> Result<Record, Error> {
        let version = if self.traits { WITH_TRAITS } else { VERSION };
        // No time and no place: these are not part of what is sent.
        let head = [&[version, 0xcf][..], &[0; 8], b"0 "].concat();
        Record::decode(
            &[&head, &self.record[..]].concat(),
            self.external_payload.clone(),
        )
    }

    /// The same with one more header, or with another value of one that it has.
    pub(crate) fn with_header(&self, key: &str, value: &str) -> Result<Self, Error> {
        let (fields, body) = split_fields(&self.record);
        let mut body = read_body(body)?;
        headers::set(&mut body.headers, key.to_owned(), value.to_owned());
        headers::check(&body.headers)?;
        let record = written(fields.to_vec(), &body);
        Ok(Self {
            record,
            external_payload: self.external_payload.clone(),
            traits: self.traits,
        })
    }

    /// The same, ordered by this key, and in no group.
    pub(crate) fn ordered_by(mut self, key: &str) -> Self {
        let (fields, body) = split_fields(&self.record);
        let mut record = traits::with_order(fields, key);
        record.extend_from_slice(body);
        self.record = record;
        self.traits = true;
        self
    }

    /// The job runs after others with the same key.
    #[allow(
        dead_code,
        reason = "only queues in memory ask for it, and these are a feature"
    )]
    pub(crate) fn is_ordered(&self) -> bool {
        self.traits && self.field(ORDER).is_some()
    }

    pub(crate) fn has_unique_key(&self) -> bool {
        let (fields, _) = split_fields(&self.record);
        traits::is_unique_in(fields)
    }

    /// The key that it is ordered by, if there is one.
    pub(crate) fn order_key(&self) -> Option<String> {
        let (fields, _) = split_fields(&self.record);
        traits::order_key_in(fields)
    }

    /// What a start of the job counts.
    pub(crate) fn weight(&self) -> u32 {
        weight_in(split_fields(&self.record).0)
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

fn read_body(body: &[u8]) -> Result<Body<'_>, Error> {
    rmp_serde::from_slice(body).map_err(|source| {
        let unreadable = format!("cannot read a job's record: {source}");
        Error::new(ErrorKind::Incompatible, unreadable)
    })
}

/// These fields with this map behind them.
fn written(mut fields: Vec<u8>, body: &Body<'_>) -> Vec<u8> {
    rmp_serde::encode::write_named(&mut fields, body)
        .expect("plain data always encodes into memory");
    fields
}

fn write_version(fields: &mut Vec<u8>, version: u32) {
    if version != FIRST {
        fields.extend(format!("{VERSION_OF_PAYLOAD}={version} ").into_bytes());
    }
}

/// The version of the payload. What is no number is a version that no program knows.
fn version_in(fields: &[u8]) -> u32 {
    let version = field_in(fields, VERSION_OF_PAYLOAD);
    version.map_or(FIRST, |version| version.parse().unwrap_or(u32::MAX))
}

/// These fields with this version in place of another one.
fn with_version(fields: &[u8], version: u32) -> Vec<u8> {
    let is_version = |field: &&[u8]| {
        let value = field.strip_prefix(VERSION_OF_PAYLOAD.as_bytes());
        value.is_some_and(|value| value.starts_with(b"="))
    };
    let fields = fields.split_inclusive(|byte| *byte == b' ');
    let mut kept: Vec<u8> = fields
        .filter(|field| !is_version(field))
        .flatten()
        .copied()
        .collect();
    write_version(&mut kept, version);
    kept
}

/// A payload that a record is to have, as it is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OtherPayload<'a> {
    /// The name of the jobs that it is for.
    pub(crate) name: &'a str,
    pub(crate) bytes: &'a [u8],
    /// The version of it; as before, if none is given.
    pub(crate) version: Option<u32>,
    /// It is a ticket.
    pub(crate) is_ticket: bool,
}

/// Where the payload lies of a record that is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NewPayload {
    /// As before; it is the same.
    Unchanged,
    /// In the record.
    Inline,
    /// This is too large for the record.
    Apart(Vec<u8>),
}

/// What is to stand behind the place of a stored record, whose job gets another payload (of the type with this name) or another number
/// of attempts. All other parts stay as they are, the fields of the head among them.
pub(crate) fn edited(
    stored: &[u8],
    payload: Option<OtherPayload<'_>>,
    attempts: Option<u32>,
) -> Result<(Vec<u8>, NewPayload), Error> {
    // Also what it says of the version and of garbage.
    let apart = stored
        .first()
        .is_some_and(|version| version & EXTERNAL_PAYLOAD != 0);
    let record = Record::decode(stored, apart.then(Vec::new))?;
    let (_, rest) = codec::split_stamp(&stored[1..]).expect("it was decoded");
    let (_, rest) = split_place(rest).expect("it was decoded");
    let (fields, body) = split_fields(rest);
    let mut body: Body<'_> = rmp_serde::from_slice(body).expect("it was decoded");
    let mut new = NewPayload::Unchanged;
    let mut rest = fields.to_vec();
    if let Some(OtherPayload {
        name,
        bytes: payload,
        version,
        is_ticket,
    }) = payload
    {
        if name != record.name {
            return Err(Error::invalid(format!(
                "the job is a `{}`, and its new payload is of a `{name}`",
                record.name
            )));
        }
        (body.name, body.old_name) = (Some(name.into()), None);
        new = match payload.len() > INLINE_PAYLOAD_MAX {
            true => NewPayload::Apart(payload.to_vec()),
            false => NewPayload::Inline,
        };
        body.payload = (new == NewPayload::Inline).then(|| Bytes::new(payload));
        body.ticket = is_ticket;
        if let Some(version) = version {
            rest = with_version(fields, version);
        }
    }
    if let Some(attempts) = attempts {
        body.attempts = Some(attempts).filter(|n| *n != ATTEMPTS_DEFAULT);
    }
    Ok((written(rest, &body), new))
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
    pub(crate) weight: u32,
    pub(crate) headers: Vec<(String, String)>,
    /// What decides when the job may run.
    pub(crate) traits: Traits,
    /// Fields of the payload that are not shown.
    pub(crate) secret: Vec<String>,
    /// The version of the payload.
    pub(crate) version: u32,
    /// The payload is a ticket.
    pub(crate) is_ticket: bool,
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
            weight: weight_in(fields),
            traits: Traits::of(fields, &name),
            secret: field_in(fields, SECRET).map_or_else(Vec::new, decode_names),
            version: version_in(fields),
            headers: body.headers,
            is_ticket: body.ticket,
            name: name.into_owned(),
        })
    }
}

fn retention_in(fields: &[u8]) -> Option<Retention> {
    let ms = field_in(fields, KEEP_MS)?.parse().ok()?;
    Some(Retention::from_millis(ms))
}

fn weight_in(fields: &[u8]) -> u32 {
    let weight = field_in(fields, WEIGHT).and_then(|weight| weight.parse().ok());
    weight.map_or(1, |weight: u32| weight.max(1))
}

/// For how long the job of a stored record asks to be kept, if it does; only the head is read.
#[allow(
    dead_code,
    reason = "only queues in memory ask for it, and these are a feature"
)]
pub(crate) fn retention_of(record: &[u8]) -> Option<Retention> {
    retention_in(fields_of(record)?)
}

/// What a start of the job of a stored record counts; only the head is read.
#[allow(
    dead_code,
    reason = "only queues in memory ask for it, and these are a feature"
)]
pub(crate) fn weight_of(record: &[u8]) -> u64 {
    fields_of(record).map_or(1, weight_in).into()
}

/// The name of the job of a stored record, read as scripts read it (`lua/lib/job_name.lua`): the first entry of the body is
/// `type`, or `name` in records of version 1.
#[allow(
    dead_code,
    reason = "only queues in memory ask for it, and these are a feature"
)]
pub(crate) fn name_of(record: &[u8]) -> Option<&[u8]> {
    const VERSION_AND_STAMP: usize = 10;
    const MAP_16: u8 = 0xde;
    let rest = record.get(VERSION_AND_STAMP..)?;
    let map = rest.iter().position(|byte| !byte.is_ascii())?;
    let entries = rest.get(map + if rest[map] == MAP_16 { 3 } else { 1 }..)?;
    let name = entries
        .strip_prefix(b"\xa4type")
        .or_else(|| entries.strip_prefix(b"\xa4name"))?;
    let (length, text) = match name {
        [kind @ 0xa0..=0xbf, text @ ..] => (usize::from(kind - 0xa0), text),
        [0xd9, length, text @ ..] => (usize::from(*length), text),
        [0xda, high, low, text @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), text),
        _ => return None,
    };
    text.get(..length)
}

#[cfg(test)]
mod tests;
