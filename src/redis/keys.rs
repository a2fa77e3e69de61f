//! The closed list of a queue's keys, and which of them a script names.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::name::{Namespace, QueueName};

/// The parts of a queue's keys, each in one line of the list below. A script calls them `key.<part>`.
macro_rules! parts {
    (places: $($place:ident)*; of jobs: $($job:ident)*; of the queue: $($queue:ident)*;) => {
        pub(crate) const PARTS: &[&str] = &[
            $(stringify!($place),)* $(stringify!($job),)* $(stringify!($queue),)*
        ];

        /// Each job is in one of these.
        #[cfg(test)]
        pub(crate) const PLACES: &[&str] = &[$(stringify!($place)),*];

        /// What is known of a job beside its record, as long as it is there.
        #[cfg(test)]
        pub(crate) const OF_JOBS: &[&str] = &[$(stringify!($job)),*];
    };
}

parts! {
    places: waiting suspects unhandled blocked delayed active completed kept dead;
    of jobs: payloads attempts places stalls results progress;
    of the queue: meta jobs claims names asked blocked_by gates running paced unique remembered expires alerts audit calls events wake awaited finished cancels schedules ticks
        workers about history outbox sources fed drafts staged
        published published_ids subscriptions subscribed
        breaker;
}

/// Which parts a script names, as positions in [`PARTS`]. It is sent these and no others: each
/// costs the server 1,700 instructions a call. A script that goes through all of them (`pairs(key)`) is sent all.
pub(crate) fn named_in(lua: &str) -> Vec<usize> {
    let names = names_in(lua);
    let all = lua.contains("pairs(key)");
    (0..PARTS.len())
        .filter(|&part| all || names.contains(PARTS[part]))
        .collect()
}

fn names_in(lua: &str) -> BTreeSet<&str> {
    lua.split("key.")
        .skip(1)
        .filter_map(|after| {
            after
                .split(|c: char| !(c.is_ascii_lowercase() || c == '_'))
                .next()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

/// The Lua line that gives each of `KEYS` its name. One table, because each local that functions
/// share costs each of these functions a search when it is made.
pub(crate) fn header(parts: &[usize]) -> String {
    let named = parts.iter().enumerate().map(|(at, &part)| {
        let (name, number) = (PARTS[part], at + 1);
        format!("{name} = KEYS[{number}]")
    });
    format!(
        "local key = {{ {} }}\n",
        named.collect::<Vec<_>>().join(", ")
    )
}

/// The keys of one queue, all in one hash slot. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    names: Arc<[String]>,
}

impl Keys {
    pub(crate) fn new(namespace: &Namespace, queue: &QueueName) -> Self {
        let names = PARTS
            .iter()
            .map(|part| format!("{namespace}:{{{queue}}}:{part}"))
            .collect();
        Self { names }
    }

    /// One of them, by its position in [`PARTS`].
    pub(crate) fn at(&self, part: usize) -> &str {
        &self.names[part]
    }

    /// What idle workers block on.
    pub(crate) fn wake(&self) -> &str {
        self.part("wake")
    }

    /// The stream of lifecycle events.
    pub(crate) fn events(&self) -> &str {
        self.part("events")
    }

    /// The stream that announces the end of jobs that callers wait for.
    pub(crate) fn finished(&self) -> &str {
        self.part("finished")
    }

    /// The stream that announces requests to cancel jobs that run.
    pub(crate) fn cancels(&self) -> &str {
        self.part("cancels")
    }

    pub(crate) fn part(&self, part: &str) -> &str {
        let position = PARTS.iter().position(|p| *p == part);
        &self.names[position.expect("the part is in the list above")]
    }
}

/// The set of the names of all queues in a namespace.
pub(crate) fn registry(namespace: &Namespace) -> String {
    format!("{namespace}:queues")
}

/// The set of the names under which topics are kept.
pub(crate) fn registry_of_topics(namespace: &Namespace) -> String {
    format!("{namespace}:topics")
}

/// The set of the names under which breakers are kept.
pub(crate) fn registry_of_breakers(namespace: &Namespace) -> String {
    format!("{namespace}:breakers")
}

/// The one of these in which this name is.
pub(crate) fn registry_with(namespace: &Namespace, name: &QueueName) -> String {
    match (name.topic(), name.breaker()) {
        (Some(_), _) => registry_of_topics(namespace),
        (_, Some(_)) => registry_of_breakers(namespace),
        _ => registry(namespace),
    }
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
        let at = |part| keys.at(part).starts_with("oxcart:{mail}:");
        assert!((0..PARTS.len()).all(at));
    }

    #[test]
    fn scripts_name_no_other_keys() {
        for folder in ["lua", "lua/lib"] {
            for file in std::fs::read_dir(folder).unwrap() {
                let path = file.unwrap().path();
                if path.is_file() {
                    let lua = std::fs::read_to_string(&path).unwrap();
                    for name in names_in(&lua) {
                        assert!(PARTS.contains(&name), "{}: key.{name}", path.display());
                    }
                }
            }
        }
    }

    #[test]
    fn a_script_gets_the_keys_it_names_each_once_in_one_order() {
        let lua = "redis.call('DEL', key.wake, key.jobs)\nif queue.has(key.jobs) then";
        let parts = named_in(lua);
        let names: Vec<_> = parts.iter().map(|&part| PARTS[part]).collect();
        assert_eq!(names, ["jobs", "wake"]);
        assert_eq!(
            header(&parts),
            "local key = { jobs = KEYS[1], wake = KEYS[2] }\n"
        );
        let all = named_in("for name, part in pairs(key) do");
        assert_eq!(all.len(), PARTS.len());
    }
}
