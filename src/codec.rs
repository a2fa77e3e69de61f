//! MessagePack with named fields: adding an optional field is a compatible change.
//!
//! A value that could not be read back as it was is refused when it is written. The
//! writer finds most such values. It cannot see whether a type reads what it writes: that is tried.

mod read;
mod write;

use std::any::{TypeId, type_name};
use std::cell::RefCell;
use std::collections::HashMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};

/// How deep lists and maps may be nested. A worker's thread has a stack of 2 MiB, and a level of
/// what serde keeps in a buffer takes several KiB of it without optimization.
pub(crate) const NESTING_MAX: usize = 128;

/// So many values of each type are read back on each thread; then the type is taken for readable.
const READ_BACK: u8 = 8;

/// The two forms in which types have been written that ask serde which form to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Addresses and ids as bytes, by version 1. In values that serde buffers, this form cannot be read.
    Binary,
    /// As text.
    Readable,
}

/// Encodes a value of which it is not known as which type it will be read.
pub(crate) fn encode<T: Serialize + ?Sized>(what: &str, value: &T) -> Result<Vec<u8>, Error> {
    Ok(written(what, value)?.bytes)
}

/// Encodes a value that is read as its own type.
pub(crate) fn encode_to_be_read<T>(what: &str, value: &T) -> Result<Vec<u8>, Error>
where
    T: Serialize + DeserializeOwned + 'static,
{
    let written = written(what, value)?;
    if written.is_doubtful || is_rarely_seen::<T>() {
        read::read::<T>(&written.bytes, Dialect::Readable).map_err(|source| {
            Error::new(
                ErrorKind::Codec,
                format!(
                    "{what} is of the type {}, which cannot be read from what it writes: {source}. \
                     Mend its `Deserialize`; and where serde buffers (tagged and untagged enums, \
                     flattened fields), use numbers of at most 64 bits",
                    type_name::<T>()
                ),
            )
            .with_source(source)
        })?;
    }
    Ok(written.bytes)
}

fn written<T: Serialize + ?Sized>(what: &str, value: &T) -> Result<write::Written, Error> {
    write::write(value).map_err(|source| {
        let name = type_name::<T>();
        Error::new(
            ErrorKind::Codec,
            format!("cannot encode {what} of the type {name} as MessagePack: {source}"),
        )
        .with_source(source)
    })
}

fn is_rarely_seen<T: 'static>() -> bool {
    thread_local! {
        static SEEN: RefCell<HashMap<TypeId, u8>> = RefCell::default();
    }
    SEEN.with_borrow_mut(|seen| {
        let times = seen.entry(TypeId::of::<T>()).or_default();
        let is_rare = *times < READ_BACK;
        *times = times.saturating_add(1);
        is_rare
    })
}

pub(crate) fn decode<T: DeserializeOwned>(
    what: &str,
    bytes: &[u8],
    dialect: Dialect,
) -> Result<T, Error> {
    read::read(bytes, dialect).map_err(|source| {
        Error::new(
            ErrorKind::Codec,
            format!(
                "cannot decode {what} ({} bytes of MessagePack) as {}: {source}",
                bytes.len(),
                type_name::<T>()
            ),
        )
        .with_source(source)
    })
}

/// Decodes a value that does not show its dialect: tries both.
pub(crate) fn decode_either<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Error> {
    decode(what, bytes, Dialect::Readable)
        .or_else(|error| decode(what, bytes, Dialect::Binary).map_err(|_| error))
}

/// Decodes our own answers, made of plain data.
pub(crate) fn decode_plain<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Error> {
    decode(what, bytes, Dialect::Binary)
}

/// Encodes what cannot fail: our own arguments and answers, made of plain data.
pub(crate) fn encode_plain<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(value).expect("plain data always encodes into memory")
}

/// What a script puts before a stored blob: a time as a MessagePack uint64.
const STAMP_BYTES: usize = 9;
const STAMP_MARKER: u8 = 0xcf;

/// Splits the server's time off the front of a stored value.
pub(crate) fn split_stamp(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (stamp, rest) = bytes.split_at_checked(STAMP_BYTES)?;
    let (marker, number) = stamp.split_first()?;
    let number: [u8; 8] = number.try_into().ok()?;
    (*marker == STAMP_MARKER).then(|| (u64::from_be_bytes(number), rest))
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod stamps {
    use super::*;

    #[test]
    fn stamps_are_message_pack_and_split_off() {
        let mut bytes = rmp_serde::to_vec(&u64::MAX).unwrap();
        bytes.extend_from_slice(b"rest");
        assert_eq!(split_stamp(&bytes), Some((u64::MAX, &b"rest"[..])));
        assert_eq!(split_stamp(&bytes[..8]), None);
        assert_eq!(split_stamp(b"123456789"), None);
    }
}
