//! The names of objects: `<namespace>/<queue>/<id>/<fresh>`.
//!
//! A name of oxcart may have any characters of Unicode, and the name of an object has only those that every store and every file system takes.
//! The others are written as `_` and two hexadecimal digits for each byte; so is `_` itself, a point at the beginning of a part, and a capital letter,
//! because there are file systems that take it for a small one. What is then longer than a part may be is written as several parts, of which each
//! but the last ends with `_`: so no name of a queue is the beginning of another one's.

use crate::id::JobId;
use crate::name::{Namespace, QueueName};

/// File systems take 255 bytes.
const PART_MAX: usize = 200;
const ESCAPE: char = '_';
/// Between the parts of one text.
const GOES_ON: &str = "_/";

/// What the names of all objects of a queue begin with.
pub(crate) fn prefix(namespace: &Namespace, queue: &QueueName) -> String {
    let mut name = String::with_capacity(96);
    push(&mut name, &namespace.to_string());
    push(&mut name, queue.as_str());
    name
}

/// A name that no other object has.
pub(crate) fn fresh(prefix: &str, id: &JobId) -> String {
    let mut name = prefix.to_owned();
    push(&mut name, id.as_str());
    name + JobId::generate().as_str()
}

/// The job for which an object was stored; `None` if the object is none of the queue's.
pub(crate) fn job_of(prefix: &str, name: &str) -> Option<JobId> {
    let (id, fresh) = name.strip_prefix(prefix)?.rsplit_once('/')?;
    // Something else that somebody keeps in the same place.
    let is_fresh = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if fresh.len() != 26 || !fresh.bytes().all(is_fresh) {
        return None;
    }
    let id = JobId::new(decoded(&id.replace(GOES_ON, ""))?).ok()?;
    // Nothing but what `fresh` writes: no `..`, and no other way to write the same id.
    let mut written = prefix.to_owned();
    push(&mut written, id.as_str());
    (name.strip_prefix(&written) == Some(fresh)).then_some(id)
}

/// Adds a text as one part or more.
fn push(name: &mut String, text: &str) {
    let mut length = 0;
    for byte in text.bytes() {
        let is_plain = match byte {
            b'.' => length > 0,
            byte => byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-',
        };
        let needed = if is_plain { 1 } else { 3 };
        if length + needed >= PART_MAX {
            name.push_str(GOES_ON);
            length = 0;
        }
        // The first of a part is no point, also where one part was full.
        if is_plain && !(byte == b'.' && length == 0) {
            name.push(char::from(byte));
            length += 1;
        } else {
            name.push(ESCAPE);
            for half in [byte >> 4, byte & 15] {
                name.push(char::from_digit(half.into(), 16).unwrap_or('0'));
            }
            length += 3;
        }
    }
    name.push('/');
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = match char::from(*first) {
            ESCAPE => {
                let (digits, after) = after.split_at_checked(2)?;
                let digits = std::str::from_utf8(digits).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                after
            }
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix_of(queue: &str) -> String {
        let namespace = Namespace::new("oxcart").unwrap();
        prefix(&namespace, &QueueName::new(queue).unwrap())
    }

    #[test]
    fn names_are_plain_and_lead_back_to_their_job() {
        let prefix = prefix_of("mail");
        assert_eq!(prefix, "oxcart/mail/");
        let long = "ß".repeat(64);
        let points = ".".repeat(128);
        for id in [
            "42",
            "..",
            ".x",
            "a_b",
            "A%41",
            "ein-Umlaut-ä",
            "nightly@17",
            &long,
            &points,
        ] {
            let id = JobId::new(id).unwrap();
            let name = fresh(&prefix, &id);
            for part in name.split('/') {
                let is_of_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
                let plain = |c: char| is_of_word(c) || "-_.".contains(c);
                assert!(part.chars().all(plain) && !part.starts_with('.'), "{name}");
                assert!((1..=PART_MAX).contains(&part.len()), "{name}");
            }
            assert_eq!(job_of(&prefix, &name), Some(id));
        }
    }

    #[test]
    fn two_names_are_never_the_same() {
        let (prefix, id) = (prefix_of("mail"), JobId::generate());
        assert_ne!(fresh(&prefix, &id), fresh(&prefix, &id));
        assert_ne!(prefix_of("a_b"), prefix_of("a-b"));
        assert_ne!(prefix_of("Mail"), prefix_of("mail"));
        // Where a part is full, and anywhere else.
        for letters in 1..=120 {
            let short = "я".repeat(letters / 2) + &"x".repeat(letters % 2);
            for more in ["ы", "y", "yyyyyyy", "."] {
                let (short, long) = (prefix_of(&short), prefix_of(&format!("{short}{more}")));
                assert!(!long.starts_with(&short), "{long}");
            }
        }
        assert_ne!(prefix_of("a/b".replace('/', "_2f").as_str()), "oxcart/a/b/");
    }

    #[test]
    fn what_others_keep_there_is_no_object_of_the_queue() {
        let prefix = prefix_of("mail");
        let foreign = [
            "oxcart/other/42/0123456789abcdefghjkmnpqrs",
            "oxcart/mail/readme.txt",
            "oxcart/mail/42/short",
            "oxcart/mail/0123456789abcdefghjkmnpqrs",
            "oxcart/mail/_4/0123456789abcdefghjkmnpqrs",
            "oxcart/mail/_ff/0123456789abcdefghjkmnpqrs",
            // Not as it is written here.
            "oxcart/mail/A/0123456789abcdefghjkmnpqrs",
            "oxcart/mail/_61/0123456789abcdefghjkmnpqrs",
            "oxcart/mail/_5F/0123456789abcdefghjkmnpqrs",
            "oxcart/mail/a/b/0123456789abcdefghjkmnpqrs",
            "oxcart/mail/a_/b/0123456789abcdefghjkmnpqrs",
            "oxcart/mail/../../elsewhere/0123456789abcdefghjkmnpqrs",
            "oxcart/mail/../0123456789abcdefghjkmnpqrs",
            "oxcart/mail//0123456789abcdefghjkmnpqrs",
            "oxcart/mail//a/0123456789abcdefghjkmnpqrs",
        ];
        for name in foreign {
            assert_eq!(job_of(&prefix, name), None, "{name}");
        }
    }
}
