//! The signature by which a receiver knows who has sent a notification, and that nobody has changed it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::hmac;

/// When it was signed: seconds since 1970, as text.
pub const TIMESTAMP_HEADER: &str = "oxcart-timestamp";
/// `v1=` and, in hexadecimal digits, the HMAC-SHA256 under the secret of the timestamp, a full stop and the body.
pub const SIGNATURE_HEADER: &str = "oxcart-signature";

const VERSION: &str = "v1=";

/// The two headers of a body that is sent now.
pub(crate) fn sign(secret: &[u8], body: &[u8]) -> (String, String) {
    let timestamp = seconds(SystemTime::now()).to_string();
    let tag = hmac::sign(&key(secret), &signed(&timestamp, body));
    let digits = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
    let signature = format!("{VERSION}{}", digits.collect::<String>());
    (timestamp, signature)
}

/// For receivers: whether a body was signed with this secret, no longer ago than `max_age` (five minutes are usual), and not changed since. Takes the values
/// of [`TIMESTAMP_HEADER`] and [`SIGNATURE_HEADER`]. A wrong signature is refused in constant time.
///
/// ```
/// # use std::time::Duration;
/// # let (timestamp, signature, body) = ("0", "v1=", b"{}");
/// if !oxcart_alerts::verify(b"a long random text", timestamp, signature, body, Duration::from_secs(300)) {
///     println!("401 Unauthorized");
/// }
/// ```
#[must_use]
pub fn verify(
    secret: &[u8],
    timestamp: &str,
    signature: &str,
    body: &[u8],
    max_age: Duration,
) -> bool {
    let Ok(at) = timestamp.parse::<u64>() else {
        return false;
    };
    let is_recent = seconds(SystemTime::now()).abs_diff(at) <= max_age.as_secs();
    let Some(tag) = signature.strip_prefix(VERSION).and_then(bytes_of) else {
        return false;
    };
    let is_right = hmac::verify(&key(secret), &signed(timestamp, body), &tag).is_ok();
    is_recent && is_right
}

fn key(secret: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret)
}

fn signed(timestamp: &str, body: &[u8]) -> Vec<u8> {
    [timestamp.as_bytes(), b".", body].concat()
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let value = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(value(*high)? * 16 + value(*low)?).ok(),
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(300);

    #[test]
    fn what_was_signed_is_accepted_and_nothing_else() {
        let (timestamp, signature) = sign(b"secret", b"body");
        assert!(verify(b"secret", &timestamp, &signature, b"body", AGE));
        assert!(!verify(b"other", &timestamp, &signature, b"body", AGE));
        assert!(!verify(b"secret", &timestamp, &signature, b"Body", AGE));
        let later = format!("{}", timestamp.parse::<u64>().unwrap() + 1);
        assert!(!verify(b"secret", &later, &signature, b"body", AGE));
        for nonsense in ["", "v1=", "v1=é", "v1=0", "v2=00", &signature[..66]] {
            assert!(!verify(b"secret", &timestamp, nonsense, b"body", AGE));
        }
        assert!(!verify(b"secret", "now", &signature, b"body", AGE));
    }

    /// Computed with another program: `printf '1700000000.{}' | openssl dgst -sha256 -hmac secret`.
    #[test]
    fn it_is_the_signature_that_other_programs_compute() {
        let signature = "v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163";
        let age = Duration::MAX;
        assert!(verify(b"secret", "1700000000", signature, b"{}", age));
        let day = Duration::from_secs(86_400);
        assert!(!verify(b"secret", "1700000000", signature, b"{}", day));
    }
}
