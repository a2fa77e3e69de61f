//! Fields of a payload that must not be shown: which they are, and a payload without them.

use crate::policy::key::{decode_key, encode_key};

/// What stands in the place of the value of a secret field.
pub(crate) const MASK: &str = "(secret)";
/// Lists and maps that are nested deeper are never written (`codec/write.rs`).
const DEPTH_MAX: usize = 200;
/// Between the names in the head of a record.
const SEPARATOR: char = ',';

/// The names as the field of a head.
pub(crate) fn encode_names(names: &[&str]) -> String {
    let encoded = names
        .iter()
        .map(|name| encode_key(name).replace(SEPARATOR, "%2C"));
    encoded.collect::<Vec<_>>().join(",")
}

pub(crate) fn decode_names(stored: &str) -> Vec<String> {
    let names = stored
        .split(SEPARATOR)
        .map(|name| decode_key(name).into_owned());
    names.filter(|name| !name.is_empty()).collect()
}

/// The payload (MessagePack), with [`MASK`] in the place of each secret field. `None` if it is cut short, or is no MessagePack.
pub(crate) fn masked(payload: &[u8], names: &[String]) -> Option<Vec<u8>> {
    let mut walk = Walk {
        rest: payload,
        out: Vec::with_capacity(payload.len()),
        path: Vec::new(),
        names,
    };
    walk.value(0)?;
    walk.rest.is_empty().then_some(walk.out)
}

struct Walk<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
    path: Vec<&'a str>,
    names: &'a [String],
}

/// What follows the first byte of a value, and its length.
enum Kind {
    Leaf(usize),
    List(usize),
    Map(usize),
}

impl<'a> Walk<'a> {
    /// Copies a value.
    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        let (head, kind) = kind(self.rest)?;
        match kind {
            Kind::Leaf(length) => {
                let leaf = self.take(head + length)?;
                self.out.extend_from_slice(leaf);
            }
            Kind::List(items) => {
                let head = self.take(head)?;
                self.out.extend_from_slice(head);
                for _ in 0..items {
                    self.value(depth + 1)?;
                }
            }
            Kind::Map(entries) => {
                let head = self.take(head)?;
                self.out.extend_from_slice(head);
                for _ in 0..entries {
                    self.entry(depth + 1)?;
                }
            }
        }
        Some(())
    }

    fn entry(&mut self, depth: usize) -> Option<()> {
        let before = self.rest;
        self.value(depth)?;
        let key = &before[..before.len() - self.rest.len()];
        self.path.push(text_of(key).unwrap_or_default());
        if self.is_secret() {
            let at = self.out.len();
            self.value(depth)?;
            self.out.truncate(at);
            // A text of fewer than 32 bytes.
            self.out.push(0xa0 | MASK.len() as u8);
            self.out.extend_from_slice(MASK.as_bytes());
        } else {
            self.value(depth)?;
        }
        self.path.pop();
        Some(())
    }

    /// A name without a point is that of a field anywhere; with points it is a path from the top.
    fn is_secret(&self) -> bool {
        let last = self.path.last().copied().unwrap_or_default();
        self.names.iter().any(|name| match name.contains('.') {
            true => name.split('.').eq(self.path.iter().copied()),
            false => name == last,
        })
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}

/// A text, as it is written.
fn text_of(value: &[u8]) -> Option<&str> {
    match kind(value)? {
        (head, Kind::Leaf(_)) if is_text(*value.first()?) => {
            std::str::from_utf8(value.get(head..)?).ok()
        }
        _ => None,
    }
}

fn is_text(first: u8) -> bool {
    matches!(first, 0xa0..=0xbf | 0xd9..=0xdb)
}

/// How many bytes the head of a value has, and what follows.
fn kind(bytes: &[u8]) -> Option<(usize, Kind)> {
    let (first, rest) = bytes.split_first()?;
    let number = |width: usize| {
        let bytes = rest.get(..width)?;
        Some(
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    };
    let fixed = |length| Some((1, Kind::Leaf(length)));
    match *first {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => fixed(0),
        0x80..=0x8f => Some((1, Kind::Map(usize::from(first & 15)))),
        0x90..=0x9f => Some((1, Kind::List(usize::from(first & 15)))),
        0xa0..=0xbf => fixed(usize::from(first & 31)),
        0xcc | 0xd0 => fixed(1),
        0xcd | 0xd1 => fixed(2),
        0xca | 0xce | 0xd2 => fixed(4),
        0xcb | 0xcf | 0xd3 => fixed(8),
        0xd4..=0xd8 => fixed(1 + (1 << (first - 0xd4))),
        0xc4 | 0xd9 => Some((2, Kind::Leaf(number(1)?))),
        0xc5 | 0xda => Some((3, Kind::Leaf(number(2)?))),
        0xc6 | 0xdb => Some((5, Kind::Leaf(number(4)?))),
        0xc7 => Some((2, Kind::Leaf(1 + number(1)?))),
        0xc8 => Some((3, Kind::Leaf(1 + number(2)?))),
        0xc9 => Some((5, Kind::Leaf(1 + number(4)?))),
        0xdc => Some((3, Kind::List(number(2)?))),
        0xdd => Some((5, Kind::List(number(4)?))),
        0xde => Some((3, Kind::Map(number(2)?))),
        0xdf => Some((5, Kind::Map(number(4)?))),
        0xc1 => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Charge {
        card: u64,
        to: BTreeMap<&'static str, Vec<&'static str>>,
        #[serde(with = "serde_bytes")]
        key: Vec<u8>,
        rate: f64,
    }

    fn payload(card: u64, address: &'static str) -> Vec<u8> {
        let to = BTreeMap::from([("name", vec!["ada"]), ("address", vec![address])]);
        let (key, rate) = (vec![7; 300], 2.5);
        let charge = Charge {
            card,
            to,
            key,
            rate,
        };
        rmp_serde::to_vec_named(&charge).unwrap()
    }

    #[test]
    fn names_are_stored_in_a_head_and_read_back() {
        let names = ["card", "to.address", "a, b", "ü"];
        let stored = encode_names(&names);
        assert!(
            stored.bytes().all(|byte| byte.is_ascii_graphic()),
            "{stored}"
        );
        assert_eq!(decode_names(&stored), names);
        assert!(decode_names("").is_empty());
    }

    #[test]
    fn secret_fields_are_masked_wherever_they_are() {
        let plain = payload(4_111, "here");
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(masked(&plain, &[]).unwrap(), plain);
        assert_eq!(masked(&plain, &names(&["cards", "name.x"])).unwrap(), plain);
        for secret in [
            &["card", "to.address", "key"][..],
            &["card", "address", "key"],
        ] {
            let shown = masked(&plain, &names(secret)).unwrap();
            assert_eq!(
                shown,
                masked(&payload(17, "there"), &names(secret)).unwrap()
            );
            let holds = |text: &str| shown.windows(text.len()).any(|it| it == text.as_bytes());
            assert!(holds("ada") && holds("address") && holds(MASK) && !holds("here"));
            assert!(shown.len() < 150, "{}", shown.len());
        }
        for cut in 0..plain.len() {
            assert_eq!(masked(&plain[..cut], &names(&["card"])), None, "{cut}");
        }
        assert_eq!(masked(&[plain.clone(), vec![0]].concat(), &[]), None);
        assert_eq!(masked(&[0x91; 1_000], &[]), None, "too deep");
        assert_eq!(masked(&[0xdd, 0xff, 0xff, 0xff, 0xff], &[]), None);
    }
}
