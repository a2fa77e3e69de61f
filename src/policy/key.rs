//! Keys that an application chooses: of a group, of an order. They stand in the head of a job's record and in the
//! names of gates, so they are stored as ASCII without spaces.

use std::borrow::Cow;

use percent_encoding::{
    AsciiSet, CONTROLS, percent_decode_str, percent_encode, utf8_percent_encode,
};

use crate::error::Error;

/// How long a key may be, in bytes.
pub(crate) const KEY_MAX: usize = 512;

const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Refuses a key that is empty or too long. `what` is what the caller asked for: "the group".
pub(crate) fn check_key(what: &str, key: &str) -> Result<(), Error> {
    if key.is_empty() {
        return Err(Error::invalid(format!(
            "the key of {what} is empty; leave it out for none"
        )));
    }
    if key.len() > KEY_MAX {
        return Err(Error::invalid(format!(
            "the key of {what} has {} bytes; {KEY_MAX} are allowed (use a hash of it)",
            key.len()
        )));
    }
    Ok(())
}

/// The key as it is stored.
pub(crate) fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, ENCODED).to_string()
}

/// The same for bytes that need not be UTF-8.
#[allow(
    dead_code,
    reason = "only queues in memory ask for it, and these are a feature"
)]
pub(crate) fn encode_bytes(key: &[u8]) -> String {
    percent_encode(key, ENCODED).to_string()
}

/// The key that an application chose, from what is stored.
pub(crate) fn decode_key(stored: &str) -> Cow<'_, str> {
    percent_decode_str(stored).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_stored_as_ascii_without_spaces_and_read_back() {
        for key in [
            "a", "tenant 7", "50%", "%20", "ü=ö", "a\0b\n", "~", "\u{7f}",
        ] {
            let stored = encode_key(key);
            assert!(
                stored.bytes().all(|byte| byte.is_ascii_graphic()),
                "{stored}"
            );
            assert_eq!(decode_key(&stored), key);
        }
        assert_eq!(encode_key("tenant-7:a/b"), "tenant-7:a/b");
    }

    #[test]
    fn empty_and_long_keys_are_refused() {
        assert!(check_key("the group", "").unwrap_err().is_invalid());
        assert!(check_key("the group", &"x".repeat(KEY_MAX)).is_ok());
        let long = check_key("the group", &"x".repeat(KEY_MAX + 1)).unwrap_err();
        assert!(long.to_string().contains("513 bytes"), "{long}");
    }
}
