//! Flows: jobs that wait for other jobs, their children. What a child says of its parent, and what a parent knows of a child.

use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::policy::key::{decode_key, encode_key};

/// How many jobs a flow may have, all of them together.
pub(crate) const NODES_MAX: usize = 10_000;

/// What it means for its parent that a child is dead.
///
/// A child that has ended in any other way (completed, cancelled, expired or removed) holds nothing up, whatever is set here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnDeath {
    /// The parent waits until the child is [replayed](crate::Queue::replay) and completes, or is removed. The default.
    #[default]
    Hold,
    /// The parent is dead at once, for [`DeadReason::ChildDied`](crate::DeadReason::ChildDied). Its other children go on. If the
    /// parent is replayed, it waits until this child is replayed and completes, or is removed.
    Fail,
    /// The parent goes on without the output of this child.
    GoOn,
}

/// What a child says of its parent: the trait `parent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChildOf {
    /// The queue of the parent; none if it is the same.
    pub(crate) queue: Option<String>,
    pub(crate) parent: JobId,
    /// Its position among the children, from 0.
    pub(crate) number: u32,
    pub(crate) on_death: OnDeath,
}

impl ChildOf {
    /// As it is stored. No id and no name of a queue has a slash in it.
    pub(crate) fn encode(&self) -> String {
        let queue = self.queue.as_deref().map_or(String::new(), encode_key);
        let parent = encode_key(self.parent.as_str());
        format!("{queue}/{parent}/{}", self.number)
    }

    pub(crate) fn decode(stored: &str, on_death: Option<&str>) -> Option<Self> {
        let mut words = stored.split('/');
        let (queue, parent, number) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            queue: (!queue.is_empty()).then(|| decode_key(queue).into_owned()),
            parent: JobId::stored(&decode_key(parent)),
            number: number.parse().ok()?,
            on_death: match on_death {
                Some("fail") => OnDeath::Fail,
                Some("go_on") => OnDeath::GoOn,
                _ => OnDeath::Hold,
            },
        })
    }
}

impl OnDeath {
    /// As it is stored, if it is not the default.
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Self::Hold => None,
            Self::Fail => Some("fail"),
            Self::GoOn => Some("go_on"),
        }
    }
}

/// What became of a child, as far as its parent knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Open,
    /// Completed, cancelled or expired; the ending says which.
    Ended,
    Dead,
    Removed,
}

impl Standing {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ended => "ended",
            Self::Dead => "dead",
            Self::Removed => "removed",
        }
    }
}

/// What a parent knows of a child: `<standing> <queue, or ~> <id> <name> <ended, ms> <ending>` (`lua/lib/children.lua`). No name and
/// no id has a space in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownChild {
    pub(crate) standing: Standing,
    /// Its queue; none if it is that of the parent.
    pub(crate) queue: Option<String>,
    pub(crate) id: JobId,
    /// The name of the job.
    pub(crate) name: String,
    /// When it ended (server's ms); 0 if it has not.
    pub(crate) ended_ms: u64,
    /// How it ended, as outcomes are stored.
    pub(crate) ending: Vec<u8>,
}

impl KnownChild {
    #[allow(
        dead_code,
        reason = "only queues in memory ask for it, and these are a feature"
    )]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let queue = self.queue.as_deref().unwrap_or("~");
        let standing = self.standing.word();
        let Self {
            id, name, ended_ms, ..
        } = self;
        let mut stored = format!("{standing} {queue} {id} {name} {ended_ms} ").into_bytes();
        stored.extend(&self.ending);
        stored
    }

    pub(crate) fn decode(stored: &[u8]) -> Result<Self, Error> {
        Self::read(stored).ok_or_else(|| {
            Error::new(
                ErrorKind::Incompatible,
                "cannot read what a job knows of one of its children; a newer version or another program wrote it",
            )
        })
    }

    fn read(stored: &[u8]) -> Option<Self> {
        let mut words = stored.splitn(6, |byte| *byte == b' ');
        let mut text = || std::str::from_utf8(words.next()?).ok();
        let (standing, queue, id, name, ended_ms) = (text()?, text()?, text()?, text()?, text()?);
        Some(Self {
            standing: match standing {
                "open" => Standing::Open,
                "ended" => Standing::Ended,
                "dead" => Standing::Dead,
                "removed" => Standing::Removed,
                _ => return None,
            },
            queue: (queue != "~").then(|| queue.to_owned()),
            id: JobId::stored(id),
            name: name.to_owned(),
            ended_ms: ended_ms.parse().ok()?,
            ending: words.next()?.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_says_of_its_parent_is_read_back() {
        for queue in [None, Some("söme-queue")] {
            for (word, on_death) in [
                (None, OnDeath::Hold),
                (Some("fail"), OnDeath::Fail),
                (Some("go_on"), OnDeath::GoOn),
            ] {
                let child = ChildOf {
                    queue: queue.map(str::to_owned),
                    parent: JobId::stored("fïlm-7%"),
                    number: 41,
                    on_death,
                };
                assert_eq!(on_death.word(), word);
                let stored = child.encode();
                assert!(stored.bytes().all(|byte| byte.is_ascii_graphic()));
                assert_eq!(ChildOf::decode(&stored, word), Some(child));
            }
        }
        assert_eq!(ChildOf::decode("/x", None), None);
    }

    #[test]
    fn what_a_parent_knows_of_a_child_is_read_back() {
        let child = KnownChild {
            standing: Standing::Ended,
            queue: None,
            id: JobId::stored("a"),
            name: "encode".into(),
            ended_ms: 17,
            ending: b"\x81 \x20 ".to_vec(),
        };
        assert_eq!(child.encode(), b"ended ~ a encode 17 \x81 \x20 ");
        assert_eq!(KnownChild::decode(&child.encode()).unwrap(), child);
        let error = KnownChild::decode(b"later ~ a encode 17 ").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible);
    }
}
