//! What makes two failed jobs alike: their name, and their error with numbers, ids, addresses and paths made equal.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;
use crate::queue::info::JobInfo;

/// Longest text that is compared, in bytes.
const SAMPLE_MAX: usize = 240;

/// The same for all jobs of one name that failed with the same error, whatever numbers, ids, addresses and paths stand in
/// it: "card 4111 was declined" and "card 4222 was declined" have one fingerprint.
///
/// It is shown as eight hexadecimal digits and can be parsed back. It stays the same from one build, and one version, to the
/// next.
///
/// ```
/// # use oxcart::Fingerprint;
/// let one = Fingerprint::of_error("charge", "card 4111 was declined");
/// assert_eq!(one, Fingerprint::of_error("charge", "card 4222 was declined"));
/// assert_ne!(one, Fingerprint::of_error("refund", "card 4111 was declined"));
/// assert_eq!(one.to_string().parse::<Fingerprint>().unwrap(), one);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(u32);

impl Fingerprint {
    /// The fingerprint of jobs of this name that fail with this error. Only the first line of the error counts, up to 240 bytes.
    #[must_use]
    pub fn of_error(name: &str, error: &str) -> Self {
        // FNV-1a: it does not depend on the build.
        let alike = alike(error);
        let bytes = name.bytes().chain([0]).chain(alike.bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        Self(((hash >> 32) ^ (hash & 0xffff_ffff)) as u32)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = digits.then(|| u32::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or_else(|| {
            Error::invalid(format!(
                "{text:?} is no fingerprint; one is eight hexadecimal digits, such as `8aa0e5cb`"
            ))
        })
    }
}

impl JobInfo {
    /// The error of the last attempt that failed; empty if none did, or if its worker died.
    #[must_use]
    pub fn last_error(&self) -> &str {
        self.history.last().map_or("", |attempt| &attempt.error)
    }

    /// What it has in common with jobs that failed for the same reason: its name, and the error of the last attempt.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_error(&self.name, self.last_error())
    }
}

/// The part of the error that is the same for all jobs that failed for the same reason.
fn alike(error: &str) -> String {
    let line = error.lines().find(|line| !line.trim().is_empty());
    let words = line.unwrap_or_default().split_whitespace().map(word);
    let mut text = words.collect::<Vec<_>>().join(" ");
    text.truncate(text.floor_char_boundary(SAMPLE_MAX));
    text
}

/// One word, with what differs from job to job made equal. Brackets, quotes and points around it stay.
fn word(word: &str) -> String {
    let start = word.len()
        - word
            .trim_start_matches(|c: char| "([{<\"'`".contains(c))
            .len();
    let (open, rest) = word.split_at(start);
    let core = rest.trim_end_matches(|c: char| ")]}>\"'`,;:.!?".contains(c));
    let close = &rest[core.len()..];
    // `user=17`, `id:42`: the part before stays.
    if let Some(at) = core.find('=').filter(|at| *at > 0) {
        let (key, value) = core.split_at(at + 1);
        return format!("{open}{key}{}{close}", part(value));
    }
    format!("{open}{}{close}", part(core))
}

fn part(core: &str) -> String {
    let has_digit = core.bytes().any(|byte| byte.is_ascii_digit());
    if core.contains("://") {
        return "<url>".to_owned();
    }
    if core
        .split_once('@')
        .is_some_and(|(a, b)| !a.is_empty() && b.contains('.'))
    {
        return "<address>".to_owned();
    }
    if is_path(core) {
        return "<path>".to_owned();
    }
    if has_digit && is_address(core) {
        return "<address>".to_owned();
    }
    if has_digit && is_id(core) {
        return "<id>".to_owned();
    }
    numbers(core)
}

fn is_path(core: &str) -> bool {
    let windows = core.get(1..3) == Some(":\\");
    windows
        || core.starts_with("~/")
        || (core.starts_with('/') && core.len() > 1)
        || core.matches('/').count() > 1
}

/// `10.0.0.7`, `10.0.0.7:6379`, `[::1]:6379`, `db-3.internal:5432`
fn is_address(core: &str) -> bool {
    let (host, port) = core.rsplit_once(':').unwrap_or((core, ""));
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let bare = host.trim_matches(['[', ']']);
    core.parse::<std::net::IpAddr>().is_ok()
        || bare.parse::<std::net::IpAddr>().is_ok()
        || (is_port
            && host.contains('.')
            && host
                .chars()
                .all(|c| c.is_alphanumeric() || ".-".contains(c)))
}

/// At least eight letters and digits, of which so many are digits that it is no word.
fn is_id(core: &str) -> bool {
    let core = core.strip_prefix("0x").unwrap_or(core);
    let digits = core.bytes().filter(u8::is_ascii_digit).count();
    let letters = core.bytes().filter(u8::is_ascii_alphabetic).count();
    let others = core.len() - digits - letters;
    let hex = core
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    core.len() >= 8
        && others <= 6
        && core
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && letters > 0
        && (hex || digits >= 3)
}

fn numbers(core: &str) -> String {
    let mut text = String::with_capacity(core.len());
    let mut in_number = false;
    for letter in core.chars() {
        let digit = letter.is_ascii_digit();
        match (digit, in_number) {
            (true, false) => text.push('#'),
            (true, true) => {}
            (false, _) => text.push(letter),
        }
        in_number = digit;
    }
    // `1.25` and `1,250` are one number.
    text.replace("#.#", "#").replace("#,#", "#")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_job_to_job_is_made_equal() {
        for (error, expected) in [
            ("card 4111 was declined", "card # was declined"),
            ("timed out after 1.25s", "timed out after #s"),
            (
                "no user (id=01J8ZK3V9Q0000000000000000)",
                "no user (id=<id>)",
            ),
            (
                "no user 550e8400-e29b-41d4-a716-446655440000.",
                "no user <id>.",
            ),
            (
                "cannot connect to 10.0.0.7:5432: refused",
                "cannot connect to <address>: refused",
            ),
            (
                "cannot connect to db-3.internal:5432",
                "cannot connect to <address>",
            ),
            (
                "no mail to ada@example.org, twice",
                "no mail to <address>, twice",
            ),
            ("/var/spool/7.txt: not found", "<path>: not found"),
            ("GET https://example.org/7 failed", "GET <url> failed"),
            ("  a   plain\n error", "a plain"),
            ("read/write failed", "read/write failed"),
            ("", ""),
        ] {
            assert_eq!(alike(error), expected);
        }
    }

    #[test]
    fn a_fingerprint_is_text_and_back() {
        let of = Fingerprint::of_error("charge", "card 17 was declined");
        assert_eq!(of.to_string().len(), 8);
        // People keep it in tickets: it must not change.
        assert_eq!(of.to_string(), "8aa0e5cb");
        assert_eq!(of.to_string().parse::<Fingerprint>().unwrap(), of);
        for bad in ["", "8aa0e5c", "8aa0e5cbb", "8aa0e5cx", "+aa0e5cb"] {
            assert!(
                bad.parse::<Fingerprint>().unwrap_err().is_invalid(),
                "{bad}"
            );
        }
    }
}
