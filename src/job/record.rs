//! The stored form of a job: written once, and changed only by an edit, while no worker has the job.
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
use crate::job::options::{ATTEMPTS_DEFAULT, JobOptions, PRIORITY_DEFAULT};
use crate::policy::backoff::Backoff;
use crate::policy::key::{decode_key, encode_key};
use crate::policy::order::OnFailure;
use crate::policy::retention::Retention;
use crate::time::{Timestamp, millis};

/// Version 1 knew only payloads of the first dialect. The map of a record says which dialect its
/// payload has, because a schedule keeps the map as it was written, whichever version fires it.
#[allow(
    dead_code,
    reason = "only queues in memory write it, and these are a feature"
)]
pub(crate) const VERSION: u8 = 2;
/// The version of records with a trait: a field of the head that scripts and workers must not pass over.
pub(crate) const WITH_TRAITS: u8 = 3;
const OLDEST: u8 = 1;
pub(crate) const EXTERNAL_PAYLOAD: u8 = 0x80;

/// Between the places of two priorities, and the priority whose places start at zero; the same
/// numbers as in `lua/lib/order.lua`.
const PRIORITY_STEP: i64 = 1 << 43;
const PRIORITY_AT_ZERO: i64 = PRIORITY_DEFAULT as i64;

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
/// The traits: fields that decide when a job may run (`lua/lib/gate.lua`).
const GROUP: &str = "group";
const ORDER: &str = "order";
/// What a failing job does to those behind it, if it is not the default.
const ON_FAILURE: &str = "on_failure";
/// The field with what a start of the job counts, if that is not 1. The script of `advance` reads it if a rate is set for
/// the queue.
const WEIGHT: &str = "weight";

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
        if let Some(weight) = options.weight.filter(|weight| *weight != 1) {
            record.extend(format!("{WEIGHT}={weight} ").into_bytes());
        }
        let without_traits = record.len();
        let mut field = |name, value: &str| record.extend(format!("{name}={value} ").into_bytes());
        if let Some(group) = &options.group {
            field(GROUP, &encode_key(group));
        }
        if let Some(order) = &options.order {
            field(ORDER, &encode_key(&order.key));
            match order.on_failure {
                OnFailure::UntilDead => {}
                OnFailure::Halt => field(ON_FAILURE, "halt"),
                OnFailure::Pass => field(ON_FAILURE, "pass"),
            }
        }
        let traits = record.len() > without_traits;
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
        let traits = [GROUP, ORDER]
            .iter()
            .any(|name| field_in(fields, name).is_some());
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
        self.traits && field_in(split_fields(&self.record).0, ORDER).is_some()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.record.len() + self.external_payload.as_ref().map_or(0, Vec::len)
    }
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
    payload: Option<(&str, &[u8])>,
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
    if let Some((name, payload)) = payload {
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
    }
    if let Some(attempts) = attempts {
        body.attempts = Some(attempts).filter(|n| *n != ATTEMPTS_DEFAULT);
    }
    let mut rest = fields.to_vec();
    rmp_serde::encode::write_named(&mut rest, &body)
        .expect("plain data always encodes into memory");
    Ok((rest, new))
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
}

/// What decides when a job may run: the traits in its head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) group: Option<String>,
    pub(crate) order: Option<String>,
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
            name: name.into_owned(),
            payload,
            dialect,
            priority,
            attempts: body.attempts.unwrap_or(ATTEMPTS_DEFAULT),
            backoff: body.backoff,
            timeout: body.timeout_ms.map(Duration::from_millis),
            keep: retention_in(fields),
            weight: weight_in(fields),
            traits: Traits {
                group: key_in(fields, GROUP),
                order: key_in(fields, ORDER),
            },
            headers: body.headers,
        })
    }
}

/// Splits off the place, and gives the priority that it was made with.
fn split_place(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b' ')?;
    let (place, rest) = (&bytes[..end], &bytes[end + 1..]);
    let place: i64 = std::str::from_utf8(place).ok()?.parse().ok()?;
    let above_zero = place
        .checked_add(PRIORITY_STEP / 2)?
        .div_euclid(PRIORITY_STEP);
    let priority = u16::try_from(above_zero + PRIORITY_AT_ZERO).ok()?;
    Some((priority, rest))
}

/// Splits off the fields of the head.
fn split_fields(bytes: &[u8]) -> (&[u8], &[u8]) {
    let map = bytes.iter().position(|byte| !byte.is_ascii());
    bytes.split_at(map.unwrap_or(bytes.len()))
}

/// The value of a field, as it is stored.
fn field_in<'a>(fields: &'a [u8], name: &str) -> Option<&'a str> {
    let mut fields = fields.split(|byte| *byte == b' ');
    let value = fields.find_map(|field| field.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    std::str::from_utf8(value).ok()
}

fn retention_in(fields: &[u8]) -> Option<Retention> {
    let ms = field_in(fields, KEEP_MS)?.parse().ok()?;
    Some(Retention::from_millis(ms))
}

fn weight_in(fields: &[u8]) -> u32 {
    let weight = field_in(fields, WEIGHT).and_then(|weight| weight.parse().ok());
    weight.map_or(1, |weight: u32| weight.max(1))
}

fn key_in(fields: &[u8], name: &str) -> Option<String> {
    Some(decode_key(field_in(fields, name)?).into_owned())
}

/// A trait that makes a gate (`lua/lib/gate.lua`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trait {
    Group,
    Order,
}

impl Trait {
    /// What the names of its gates begin with.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Group => 'g',
            Self::Order => 'o',
        }
    }
}

/// The name of a job's gate, if it has one.
#[allow(
    dead_code,
    reason = "only queues in memory ask for it, and these are a feature"
)]
pub(crate) fn gate_of(record: &[u8]) -> Option<String> {
    if !has_traits(record) {
        return None;
    }
    let gate = |name, of: Trait| Some(format!("{}{}", of.letter(), field_of(record, name)?));
    gate(GROUP, Trait::Group).or_else(|| gate(ORDER, Trait::Order))
}

/// Whether a stored record has a trait: its first byte says so.
pub(crate) fn has_traits(record: &[u8]) -> bool {
    record.first().map(|version| version & !EXTERNAL_PAYLOAD) == Some(WITH_TRAITS)
}

/// For how long the job of a stored record asks to be kept, if it does; only the head is read.
#[allow(dead_code, reason = "as fields_of")]
pub(crate) fn retention_of(record: &[u8]) -> Option<Retention> {
    retention_in(fields_of(record)?)
}

/// What a start of the job of a stored record counts; only the head is read.
#[allow(dead_code, reason = "as fields_of")]
pub(crate) fn weight_of(record: &[u8]) -> u64 {
    fields_of(record).map_or(1, weight_in).into()
}

/// The value of a field in the head of a stored record, as it is stored; only the head is read.
#[allow(
    dead_code,
    reason = "only queues in memory ask for it, and these are a feature"
)]
pub(crate) fn field_of<'a>(record: &'a [u8], name: &str) -> Option<&'a str> {
    field_in(fields_of(record)?, name)
}

/// The fields in the head of a stored record.
#[allow(
    dead_code,
    reason = "only queues in memory read the head alone, and these are a feature"
)]
fn fields_of(record: &[u8]) -> Option<&[u8]> {
    let (_, rest) = codec::split_stamp(record.get(1..)?)?;
    let (_, rest) = split_place(rest)?;
    Some(split_fields(rest).0)
}

#[cfg(test)]
mod tests;
