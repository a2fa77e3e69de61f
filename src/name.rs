//! Names of queues, jobs, namespaces and headers: validated when constructed.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::error::Error;

/// Longest name or id, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 128;

/// Characters with a meaning in Redis keys, hash fields and event entries.
const RESERVED: &str = ":/#~{}";

/// Says what is wrong with a name, if anything.
pub(crate) fn check(what: &str, name: &str) -> Result<(), Error> {
    check_within(what, name, NAME_BYTES_MAX)
}

/// The same, where fewer bytes are allowed.
pub(crate) fn check_within(what: &str, name: &str, most: usize) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::invalid(format!(
            "the {what} is empty; 1 to {most} bytes are allowed"
        )));
    }
    if name.len() > most {
        return Err(Error::invalid(format!(
            "the {what} has {} bytes; 1 to {most} are allowed",
            name.len()
        )));
    }
    let bad = |c: &char| c.is_whitespace() || c.is_control() || RESERVED.contains(*c);
    match name.chars().find(bad) {
        None => Ok(()),
        Some(c) => Err(Error::invalid(format!(
            "the {what} {name:?} contains {c:?}; white space, control characters and any of \
             `: / # ~ {{ }}` are not allowed"
        ))),
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $visible:vis $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $visible struct $type(Arc<str>);

        impl $type {
            /// Checks the name: 1 to 128 bytes, no white space, no control characters and none
            /// of `: / # ~ { }`.
            pub(crate) fn new(name: impl AsRef<str>) -> Result<Self, Error> {
                check($what, name.as_ref())?;
                Ok(Self(name.as_ref().into()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name_type!(
    /// The name of a queue, as events and attempts carry it. Cheap to clone.
    pub QueueName,
    "queue name"
);

/// How the names begin under which topics and breakers are kept. No queue has such a name.
const OF_TOPICS: &str = "topic/";
const OF_BREAKERS: &str = "breaker/";

impl QueueName {
    /// The name under which a topic is kept.
    pub(crate) fn of_topic(topic: &str) -> Result<Self, Error> {
        check_within("topic name", topic, NAME_BYTES_MAX - OF_TOPICS.len())?;
        Ok(Self(format!("{OF_TOPICS}{topic}").into()))
    }

    /// The topic that is kept under this name, if it is one of these.
    pub(crate) fn topic(&self) -> Option<&str> {
        self.0.strip_prefix(OF_TOPICS)
    }

    /// The name under which a breaker is kept.
    pub(crate) fn of_breaker(breaker: &str) -> Result<Self, Error> {
        let most = NAME_BYTES_MAX - OF_BREAKERS.len();
        check_within("breaker name", breaker, most)?;
        Ok(Self(format!("{OF_BREAKERS}{breaker}").into()))
    }

    /// The breaker that is kept under this name, if it is one of these.
    pub(crate) fn breaker(&self) -> Option<&str> {
        self.0.strip_prefix(OF_BREAKERS)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

name_type!(
    /// What all keys of an application start with, so that several can share a Redis.
    pub(crate) Namespace,
    "namespace"
);

/// The names that topics, or breakers, have for their users, from those under which they are kept.
pub(crate) fn as_users_know_them(kept: BTreeSet<String>) -> Vec<String> {
    let known = |name: String| name.split_once('/').map(|(_, known)| known.to_owned());
    kept.into_iter().filter_map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_ordinary_names() {
        for name in ["mail", "send-welcome", "a.b_c", "größe", &"x".repeat(128)] {
            assert!(QueueName::new(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn refuses_malformed_names_and_says_why() {
        for name in [
            "", " ", "a b", "a\n", "a\0", "{a}", "a:b", "a/b", "a#1", "~a", "\u{a0}",
        ] {
            let error = QueueName::new(name).unwrap_err();
            assert!(error.is_invalid());
            assert!(error.to_string().contains("queue name"), "{error}");
        }
        assert!(QueueName::new("x".repeat(129)).is_err());
    }
}
