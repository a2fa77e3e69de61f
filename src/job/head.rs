//! The head of a job's record, which scripts read, too (`lua/lib/head.lua`): the version, when the job was enqueued, its place, and
//! fields, `name=value` and a space each.

use crate::codec;
use crate::job::options::PRIORITY_DEFAULT;

/// The version of records with a trait: a field of the head that scripts and workers must not pass over.
pub(crate) const WITH_TRAITS: u8 = 3;
pub(crate) const EXTERNAL_PAYLOAD: u8 = 0x80;

/// Between the places of two priorities, and the priority whose places start at zero; the same
/// numbers as in `lua/lib/order.lua`.
pub(crate) const PRIORITY_STEP: i64 = 1 << 43;
const PRIORITY_AT_ZERO: i64 = PRIORITY_DEFAULT as i64;

/// Splits off the place, and gives the priority that it was made with.
pub(crate) fn split_place(bytes: &[u8]) -> Option<(u16, &[u8])> {
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
pub(crate) fn split_fields(bytes: &[u8]) -> (&[u8], &[u8]) {
    let map = bytes.iter().position(|byte| !byte.is_ascii());
    bytes.split_at(map.unwrap_or(bytes.len()))
}

/// The value of a field, as it is stored.
pub(crate) fn field_in<'a>(fields: &'a [u8], name: &str) -> Option<&'a str> {
    let mut fields = fields.split(|byte| *byte == b' ');
    let value = fields.find_map(|field| field.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    std::str::from_utf8(value).ok()
}

/// Whether a stored record has a trait: its first byte says so.
pub(crate) fn has_traits(record: &[u8]) -> bool {
    record.first().map(|version| version & !EXTERNAL_PAYLOAD) == Some(WITH_TRAITS)
}

/// The value of a field in the head of a stored record, as it is stored; only the head is read.
pub(crate) fn field_of<'a>(record: &'a [u8], name: &str) -> Option<&'a str> {
    field_in(fields_of(record)?, name)
}

/// What stands behind the place of a stored record: fields and body.
pub(crate) fn behind_the_place(record: &[u8]) -> Option<&[u8]> {
    let (_, rest) = codec::split_stamp(record.get(1..)?)?;
    split_place(rest).map(|(_, rest)| rest)
}

pub(crate) fn fields_of(record: &[u8]) -> Option<&[u8]> {
    Some(split_fields(behind_the_place(record)?).0)
}
