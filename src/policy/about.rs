//! What a worker says of itself to those who look after its queue.

use serde::{Deserialize, Serialize};

use crate::codec;

/// The names of a worker's handlers take at most so many bytes together.
const NAMES_BYTES: usize = 8 * 1024;

/// Where a worker runs, and which jobs it takes. As MessagePack; what a version does not know it leaves out.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct About {
    pub(crate) host: String,
    /// The id of the process.
    pub(crate) process: u32,
    /// The version of the library.
    pub(crate) version: String,
    pub(crate) concurrency: u64,
    /// The names of the jobs that the worker has handlers for, in order.
    pub(crate) handlers: Vec<String>,
    /// So many more handlers have names that found no room.
    pub(crate) unnamed: u64,
}

impl About {
    /// A worker of this process with these handlers.
    pub(crate) fn new<'a>(host: String, handlers: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names: Vec<&str> = handlers.into_iter().collect();
        names.sort_unstable();
        let mut bytes = 0;
        let named = names.iter().take_while(|name| {
            bytes += name.len();
            bytes <= NAMES_BYTES
        });
        let handlers: Vec<String> = named.map(|name| (*name).to_owned()).collect();
        Self {
            host,
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            concurrency: 0,
            unnamed: (names.len() - handlers.len()) as u64,
            handlers,
        }
    }

    /// What another version, or another program, has written in a way that cannot be read says nothing.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        codec::decode_plain("what a worker says of itself", bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_what_is_unknown_is_left_out() {
        let about = About::new("host".to_owned(), ["mail", "charge"]);
        assert_eq!(about.handlers, ["charge", "mail"]);
        assert_eq!(About::decode(&codec::encode_plain(&about)), about);
        let newer = std::collections::BTreeMap::from([("zone", "eu"), ("host", "a")]);
        assert_eq!(About::decode(&codec::encode_plain(&newer)).host, "a");
        assert_eq!(About::decode(b"noise"), About::default());
    }

    #[test]
    fn it_is_bounded() {
        let names: Vec<String> = (0..100).map(|n| format!("{n:0200}")).collect();
        let about = About::new(String::new(), names.iter().map(String::as_str));
        assert_eq!((about.handlers.len(), about.unnamed), (40, 60));
    }
}
