//! The closed list of a queue's keys. One list makes both the Lua header that names `KEYS` and
//! the vector of keys that is sent, so their order cannot drift.

use crate::name::{Namespace, QueueName};

macro_rules! keys {
    ($($number:literal $part:ident),+ $(,)?) => {
        /// The parts of a queue's keys, in the order of `KEYS`.
        pub(crate) const PARTS: &[&str] = &[$(stringify!($part)),+];

        /// The Lua line that gives each of `KEYS` its name: `key.<part>`. One table, because
        /// each local that functions share costs each of these functions a search when it is
        /// made.
        macro_rules! key_header {
            () => {
                concat!("local key = { ", $(stringify!($part), " = KEYS[", $number, "], ",)+ "}\n")
            };
        }
        pub(crate) use key_header;
    };
}

keys!(
    1 meta, 2 jobs, 3 payloads, 4 attempts, 5 waiting, 6 delayed, 7 places, 8 active, 9
    claims, 10 stalls, 11 suspects, 12 completed, 13 answers, 14 dead, 15 results, 16
    progress, 17 calls, 18 events, 19 wake, 20 awaited, 21 finished,
);

/// The keys of one queue, all in one hash slot.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    names: Vec<String>,
}

impl Keys {
    pub(crate) fn new(namespace: &Namespace, queue: &QueueName) -> Self {
        let names = PARTS
            .iter()
            .map(|part| format!("{namespace}:{{{queue}}}:{part}"))
            .collect();
        Self { names }
    }

    /// All keys, in the order of `KEYS`.
    pub(crate) fn all(&self) -> &[String] {
        &self.names
    }

    /// What idle workers block on.
    pub(crate) fn wake(&self) -> &str {
        self.part("wake")
    }

    /// The stream of lifecycle events.
    pub(crate) fn events(&self) -> &str {
        self.part("events")
    }

    /// The stream that announces jobs somebody waits for.
    pub(crate) fn finished(&self) -> &str {
        self.part("finished")
    }

    fn part(&self, part: &str) -> &str {
        let position = PARTS.iter().position(|p| *p == part);
        &self.names[position.expect("the part is in the list above")]
    }
}

/// The set of the names of all queues in a namespace.
pub(crate) fn registry(namespace: &Namespace) -> String {
    format!("{namespace}:queues")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_queue_share_one_hash_tag() {
        let keys = Keys::new(
            &Namespace::new("oxcart").unwrap(),
            &QueueName::new("mail").unwrap(),
        );
        assert_eq!(keys.wake(), "oxcart:{mail}:wake");
        assert!(
            keys.all()
                .iter()
                .all(|key| key.starts_with("oxcart:{mail}:"))
        );
        assert!(key_header!().starts_with("local key = { meta = KEYS[1], jobs = KEYS[2], "));
        for (position, part) in PARTS.iter().enumerate() {
            let named = format!(" {part} = KEYS[{}], ", position + 1);
            assert!(key_header!().contains(&named), "{part} has another number");
        }
    }
}
