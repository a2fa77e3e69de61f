//! What is given back later: MessagePack with named fields, as the library stores results.

use std::any::type_name;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};

/// A value, if its type reads back what it writes: who finds that out when it is read has a job that cannot end.
pub(super) fn encode<T: Serialize + DeserializeOwned>(value: &T) -> Result<Vec<u8>, Error> {
    let written = rmp_serde::to_vec_named(value).map_err(|error| {
        let message = format!(
            "a value of the type {} cannot be stored: {error}",
            type_name::<T>()
        );
        Error::new(ErrorKind::Codec, message)
    })?;
    decode::<T>(&written)?;
    Ok(written)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    rmp_serde::from_slice(bytes).map_err(|error| {
        let message = format!(
            "what is stored in the inbox cannot be read as {}: {error}; did the type change?",
            type_name::<T>()
        );
        Error::new(ErrorKind::Codec, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_does_not_read_what_it_writes_is_refused() {
        #[derive(Serialize, serde::Deserialize)]
        struct Skips {
            #[serde(skip_serializing)]
            _field: u8,
        }
        let error = encode(&Skips { _field: 1 }).expect_err("it cannot be read");
        assert_eq!(error.kind(), ErrorKind::Codec);
        assert!(encode(&(1u64, "two".to_owned())).is_ok());
    }
}
