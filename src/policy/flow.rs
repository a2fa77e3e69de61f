//! Flows: jobs that wait for other jobs, their children. What a child says of its parent, and what a parent knows of a child.

use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::policy::key::{decode_key, encode_key};

/// How many jobs a flow may have, all of them together.
pub(crate) const NODES_MAX: usize = 10_000;

/// How many jobs of a flow may die of one death, each the parent of the one before. They all die in one script, which must not take long.
pub(crate) const DEATHS_MAX: usize = 256;

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
    /// By way of which queue a parent in another queue is told; none if it is told straight.
    pub(crate) route: Option<String>,
    pub(crate) parent: JobId,
    /// Its position among the children, from 0.
    pub(crate) number: u32,
    pub(crate) on_death: OnDeath,
    /// The step of the parent that waits for it; none if the parent waits for it before it first runs.
    pub(crate) of_step: Option<u32>,
}

impl ChildOf {
    /// As it is stored. No id and no name of a queue has a slash in it.
    pub(crate) fn encode(&self) -> String {
        let queue = self.queue.as_deref().map_or(String::new(), encode_key);
        let parent = encode_key(self.parent.as_str());
        let stored = format!("{queue}/{parent}/{}", self.number);
        match &self.route {
            Some(route) => format!("{stored}/{}", encode_key(route)),
            None => stored,
        }
    }

    pub(crate) fn decode(
        stored: &str,
        on_death: Option<&str>,
        of_step: Option<&str>,
    ) -> Option<Self> {
        let mut words = stored.split('/');
        let (queue, parent, number) = (words.next()?, words.next()?, words.next()?);
        let route = words.next();
        let is_digit = |byte| u8::is_ascii_digit(&byte);
        let is_whole = !parent.is_empty() && number.bytes().all(is_digit);
        let is_routed = route.is_none_or(|route| !route.is_empty() && !queue.is_empty());
        if !is_whole || !is_routed || words.next().is_some() {
            return None;
        }
        Some(Self {
            queue: (!queue.is_empty()).then(|| decode_key(queue).into_owned()),
            route: route.map(|route| decode_key(route).into_owned()),
            parent: JobId::stored(&decode_key(parent)),
            number: number.parse().ok()?,
            on_death: match on_death {
                Some("fail") => OnDeath::Fail,
                Some("go_on") => OnDeath::GoOn,
                _ => OnDeath::Hold,
            },
            of_step: of_step.and_then(|step| step.parse().ok()),
        })
    }
}

/// What a step that waits for children says of them, in its value: `<first> <count> <open>`, and the numbers of those whose death
/// ends the wait (`lua/lib/spawned.lua`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StepChildren {
    /// The number of the first.
    pub(crate) first: u32,
    pub(crate) count: u32,
    pub(crate) open: u32,
    pub(crate) failed: Vec<u32>,
}

impl StepChildren {
    /// Those that were just added.
    pub(crate) fn new(first: u32, count: u32) -> Self {
        Self {
            first,
            count,
            open: count,
            failed: Vec::new(),
        }
    }

    pub(crate) fn encode(&self) -> String {
        let Self {
            first, count, open, ..
        } = self;
        let failed = self.failed.iter().map(|number| format!(" {number}"));
        let failed: String = failed.collect();
        format!("{first} {count} {open}{failed}")
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Error> {
        let read = || {
            let words = std::str::from_utf8(value).ok()?.split(' ');
            let numbers = words.map(|word| word.parse().ok());
            let numbers: Vec<u32> = numbers.collect::<Option<_>>()?;
            let (counts, failed) = numbers.split_first_chunk::<3>()?;
            let [first, count, open] = *counts;
            Some(Self {
                first,
                count,
                open,
                failed: failed.to_vec(),
            })
        };
        read().ok_or_else(|| {
            Error::new(
                ErrorKind::Incompatible,
                "cannot read which children a step of a job waits for; a newer version or another program wrote it",
            )
        })
    }

    /// Whether the job need not wait at this step any more.
    pub(crate) fn is_over(&self) -> bool {
        self.open == 0 || !self.failed.is_empty()
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

    /// `None` for a word that this version does not know.
    #[allow(
        dead_code,
        reason = "only queues in memory read messages, and these are a feature"
    )]
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        match word {
            "" => Some(Self::Hold),
            "fail" => Some(Self::Fail),
            "go_on" => Some(Self::GoOn),
            _ => None,
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
    /// Its queue could not add it; instead of how it ended, why.
    Refused,
}

impl Standing {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ended => "ended",
            Self::Dead => "dead",
            Self::Removed => "removed",
            Self::Refused => "refused",
        }
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let all = [
            Self::Open,
            Self::Ended,
            Self::Dead,
            Self::Removed,
            Self::Refused,
        ];
        all.into_iter().find(|standing| standing.word() == word)
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
            standing: Standing::of_word(standing)?,
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
        let queues = [
            (None, None),
            (Some("söme-queue"), None),
            (Some("söme-queue"), Some("by%way")),
        ];
        for (queue, route) in queues {
            for (word, on_death) in [
                (None, OnDeath::Hold),
                (Some("fail"), OnDeath::Fail),
                (Some("go_on"), OnDeath::GoOn),
            ] {
                let child = ChildOf {
                    queue: queue.map(str::to_owned),
                    route: route.map(str::to_owned),
                    parent: JobId::stored("fïlm-7%"),
                    number: 41,
                    on_death,
                    of_step: (word == Some("fail")).then_some(7),
                };
                assert_eq!(on_death.word(), word);
                let stored = child.encode();
                assert!(stored.bytes().all(|byte| byte.is_ascii_graphic()));
                let of_step = child.of_step.map(|step| step.to_string());
                let read = ChildOf::decode(&stored, word, of_step.as_deref());
                assert_eq!(read, Some(child));
            }
        }
        for garbled in [
            "/x",
            "/x/",
            "/x/1a",
            "/x/1/",
            "//1",
            "/x/1/r",
            "q/x/1/",
            "q/x/1/r/s",
            "q/x/+1",
        ] {
            assert_eq!(ChildOf::decode(garbled, None, None), None, "{garbled}");
        }
    }

    #[test]
    fn what_a_step_says_of_its_children_is_read_back() {
        for (failed, is_over) in [(vec![], false), (vec![7, 12], true)] {
            let children = StepChildren {
                first: 3,
                count: 10,
                open: 4,
                failed,
            };
            assert_eq!(children.is_over(), is_over);
            let read = StepChildren::decode(children.encode().as_bytes());
            assert_eq!(read.unwrap(), children);
        }
        assert!(StepChildren::decode(b"1 2 0").unwrap().is_over());
        for odd in ["", "1 2", "1 2 -1", "1 2 x", "1  2 3"] {
            let error = StepChildren::decode(odd.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Incompatible, "{odd}");
        }
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
