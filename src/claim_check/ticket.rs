//! What Redis holds in the place of a payload that is in a store.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::codec::{self, Dialect};
use crate::error::{Error, ErrorKind};

/// What Redis holds in the place of a payload that is in a [`PayloadStore`](crate::PayloadStore). See [`JobInfo::ticket`](crate::JobInfo::ticket).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ticket {
    /// The name of the object: namespace, queue and id of the job, and a part that no other object has.
    pub object: String,
    /// How many bytes the payload has.
    pub bytes: u64,
    /// The SHA-256 of the payload, as 64 hexadecimal digits.
    pub sha256: String,
}

impl Ticket {
    pub(crate) fn of(object: String, payload: &[u8]) -> Self {
        Self {
            object,
            bytes: payload.len() as u64,
            sha256: sha256(payload),
        }
    }

    /// As a payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        codec::encode_plain(self)
    }

    /// Reads a payload whose record says that it is a ticket.
    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Error> {
        codec::decode("the ticket of a job's payload", payload, Dialect::Readable)
    }

    /// Whether these are the bytes that were stored.
    pub(crate) fn check(&self, payload: &[u8]) -> Result<(), Error> {
        let lost = |what: String| {
            let object = &self.object;
            Error::new(
                ErrorKind::PayloadLost,
                format!("the payload in the object `{object}` is not as it was stored: {what}"),
            )
        };
        if payload.len() as u64 != self.bytes {
            let than = match payload.len() as u64 > self.bytes {
                true => "more",
                false => "less",
            };
            return Err(lost(format!("it has {than} than {} bytes", self.bytes)));
        }
        if sha256(payload) != self.sha256 {
            return Err(lost("its SHA-256 is another one".to_owned()));
        }
        Ok(())
    }
}

/// As 64 hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
    let sum = Sha256::digest(bytes);
    sum.iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_a_payload_that_says_what_was_stored() {
        let ticket = Ticket::of("a/b/c/d".to_owned(), b"abc");
        // FIPS 180-2, B.1.
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((ticket.bytes, ticket.sha256.as_str()), (3, sum));
        assert_eq!(Ticket::decode(&ticket.encode()).unwrap(), ticket);
        assert!(Ticket::decode(b"\xc0").unwrap_err().is_codec());
    }

    #[test]
    fn other_bytes_are_found_out() {
        let ticket = Ticket::of("a/b/c/d".to_owned(), b"abc");
        ticket.check(b"abc").unwrap();
        for (other, why) in [
            (&b"ab"[..], "less than 3 bytes"),
            (b"abcd", "more than 3 bytes"),
            (b"abd", "SHA-256"),
        ] {
            let error = ticket.check(other).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PayloadLost);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
