//! The slots of a cluster: the slot of a key, and what a node says of who has which.

use std::collections::BTreeSet;

use redis::Value;

use crate::redis::answer::{pairs, text};
use crate::redis::node::Address;

/// How many there are.
pub(crate) const SLOTS: u16 = 16_384;

/// What a node calls the host of another one that it does not know.
pub(crate) const UNKNOWN: &str = "?";

/// For messages.
pub(crate) fn shown((host, port): &Address) -> String {
    format!("{host}:{port}")
}

/// The slot of a key: of what stands in its first braces, if there is something.
pub(crate) fn of_key(key: &str) -> u16 {
    let tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    let hashed = match tag {
        Some((tag, _)) if !tag.is_empty() => tag,
        _ => key,
    };
    crc16(hashed.as_bytes()) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ 0x1021
            }
        })
    })
}

/// Who has which slots.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    /// The first and the last slot of a range, and its owner; in order.
    ranges: Vec<(u16, u16, Address)>,
    /// Owners and replicas.
    nodes: BTreeSet<Address>,
}

impl Told {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(crate) fn owner(&self, slot: u16) -> Option<&Address> {
        let mut ranges = self.ranges.iter();
        let range = ranges.find(|(first, last, _)| (*first..=*last).contains(&slot))?;
        Some(&range.2)
    }

    pub(crate) fn owners(&self) -> BTreeSet<Address> {
        self.ranges
            .iter()
            .map(|(_, _, owner)| owner.clone())
            .collect()
    }

    pub(crate) fn nodes(&self) -> &BTreeSet<Address> {
        &self.nodes
    }

    /// How many slots have an owner.
    pub(crate) fn covered(&self) -> usize {
        let count = |(first, last, _): &(u16, u16, Address)| usize::from(last - first) + 1;
        self.ranges.iter().map(count).sum()
    }
}

/// What `CLUSTER SLOTS` answered; `None` for nonsense. A node without a host is at `asked`, and one whose host is `?` at its IP address, if that is told; if
/// not, nobody knows where its slots are (<https://valkey.io/commands/cluster-slots/>).
pub(crate) fn read(value: Value, asked: &str) -> Option<Told> {
    let Value::Array(entries) = value else {
        return None;
    };
    let mut told = Told::default();
    for entry in entries {
        let Value::Array(parts) = entry else {
            return None;
        };
        let (first, last) = (slot(parts.first()?)?, slot(parts.get(1)?)?);
        if first > last {
            return None;
        }
        let mut nodes = parts.iter().skip(2).map(|node| address(node, asked));
        let owner = nodes.next()??;
        told.nodes.extend(owner.clone());
        told.nodes.extend(nodes.flatten().flatten());
        told.ranges.extend(owner.map(|owner| (first, last, owner)));
    }
    told.ranges.sort();
    let overlap = |pair: &[(u16, u16, Address)]| pair[0].1 >= pair[1].0;
    match told.ranges.windows(2).any(overlap) {
        true => None,
        false => Some(told),
    }
}

fn slot(value: &Value) -> Option<u16> {
    match value {
        Value::Int(slot) => u16::try_from(*slot).ok().filter(|slot| *slot < SLOTS),
        _ => None,
    }
}

/// `None` inside if it is not known.
fn address(node: &Value, asked: &str) -> Option<Option<Address>> {
    let Value::Array(parts) = node else {
        return None;
    };
    let Value::Int(port) = parts.get(1)? else {
        return None;
    };
    let port = u16::try_from(*port).ok().filter(|port| *port > 0)?;
    let host = match text(parts.first()?) {
        Some(host) if host == UNKNOWN => parts.get(3).and_then(ip),
        Some(host) if !host.is_empty() => Some(host),
        _ => Some(asked.to_owned()),
    };
    Some(host.map(|host| (host, port)))
}

/// The address among what else is told of a node.
fn ip(told: &Value) -> Option<String> {
    let named = pairs(told.clone());
    let (_, ip) = named
        .iter()
        .find(|(name, _)| text(name).as_deref() == Some("ip"))?;
    text(ip).filter(|ip| !ip.is_empty() && ip != UNKNOWN)
}

/// The slot and its owner in `MOVED 3999 127.0.0.1:6381`; the host may be empty, or `?`.
pub(crate) fn moved(words: &str) -> Option<(u16, Address)> {
    let (slot, address) = words.strip_prefix("MOVED ")?.split_once(' ')?;
    let (host, port) = address.trim().rsplit_once(':')?;
    Some((slot.parse().ok()?, (host.to_owned(), port.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn node(host: Value, port: i64) -> Value {
        Value::Array(vec![
            host,
            Value::Int(port),
            bulk("id"),
            Value::Array(vec![]),
        ])
    }

    fn known_by_ip(ip: &str, port: i64) -> Value {
        let told = Value::Array(vec![bulk("hostname"), bulk("x"), bulk("ip"), bulk(ip)]);
        Value::Array(vec![bulk("?"), Value::Int(port), bulk("id"), told])
    }

    fn range(first: i64, last: i64, nodes: Vec<Value>) -> Value {
        Value::Array([vec![Value::Int(first), Value::Int(last)], nodes].concat())
    }

    /// As `CLUSTER KEYSLOT` says it.
    #[test]
    fn the_slot_of_a_key_is_that_of_its_tag() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(of_key("foo"), 12_182);
        assert_eq!(of_key("oxcart:{foo}:wake"), 12_182);
        assert_eq!(of_key("{}foo"), crc16(b"{}foo") % SLOTS);
    }

    #[test]
    fn who_has_which_slots_is_read() {
        let told = read(
            Value::Array(vec![
                range(8_192, 16_383, vec![node(Value::Nil, 2)]),
                range(0, 4_000, vec![node(bulk("one"), 1), node(bulk("?"), 3)]),
                range(
                    4_001,
                    8_190,
                    vec![known_by_ip("10.0.0.7", 3), node(bulk("one"), 1)],
                ),
            ]),
            "asked",
        )
        .unwrap();
        assert_eq!(told.owner(4_000), Some(&("one".to_owned(), 1)));
        assert_eq!(told.owner(8_190), Some(&("10.0.0.7".to_owned(), 3)));
        assert_eq!(told.owner(8_191), None);
        assert_eq!(told.owner(8_192), Some(&("asked".to_owned(), 2)));
        assert_eq!(told.covered(), 16_383);
        assert_eq!((told.owners().len(), told.nodes().len()), (3, 3));
        // One whose owner nobody knows is as good as none.
        let told = Value::Array(vec![
            range(0, 4_000, vec![node(bulk("?"), 3)]),
            range(4_001, 8_190, vec![node(bulk("one"), 1)]),
        ]);
        let told = read(told, "asked").unwrap();
        assert_eq!((told.owner(17), told.covered()), (None, 4_190));
        for nonsense in [
            Value::Nil,
            Value::Array(vec![range(0, 16_384, vec![node(bulk("one"), 1)])]),
            Value::Array(vec![range(5, 4, vec![node(bulk("one"), 1)])]),
            Value::Array(vec![range(0, 4, vec![])]),
            Value::Array(vec![
                range(0, 4, vec![node(bulk("one"), 1)]),
                range(4, 5, vec![node(bulk("one"), 1)]),
            ]),
        ] {
            assert_eq!(read(nonsense, "asked"), None);
        }
    }

    #[test]
    fn a_new_owner_is_read() {
        let owner = ("::1".to_owned(), 6381);
        assert_eq!(moved("MOVED 3999 ::1:6381"), Some((3_999, owner)));
        assert_eq!(
            moved("MOVED 3999 :6381"),
            Some((3_999, (String::new(), 6381)))
        );
        assert_eq!(moved("ASK 3999 127.0.0.1:6381"), None);
    }
}
