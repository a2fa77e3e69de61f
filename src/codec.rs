//! MessagePack with named fields: adding an optional field is a compatible change.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};

pub(crate) fn encode<T: Serialize + ?Sized>(what: &str, value: &T) -> Result<Vec<u8>, Error> {
    rmp_serde::to_vec_named(value).map_err(|source| {
        Error::new(
            ErrorKind::Codec,
            format!("cannot encode {what} as MessagePack: {source}"),
        )
        .with_source(source)
    })
}

pub(crate) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Error> {
    rmp_serde::from_slice(bytes).map_err(|source| {
        Error::new(
            ErrorKind::Codec,
            format!(
                "cannot decode {what} ({} bytes of MessagePack) as {}: {source}",
                bytes.len(),
                std::any::type_name::<T>()
            ),
        )
        .with_source(source)
    })
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
mod tests {
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
