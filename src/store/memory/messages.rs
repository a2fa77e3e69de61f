//! What a queue keeps of drafts, and of the logs that feed it.

use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Drafts {
    /// Those that have messages.
    pub(crate) staged: BTreeMap<String, Draft>,
    /// Until when (ms) each is remembered.
    pub(crate) until_ms: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Targets and messages, by their numbers; those that went out are gone.
    pub(crate) messages: BTreeMap<u64, (String, Vec<u8>)>,
    /// How many there were in all.
    pub(crate) total: u64,
    pub(crate) is_sent: bool,
}

impl Draft {
    /// The number of the first message that is left.
    pub(crate) fn next(&self) -> u64 {
        self.total - self.messages.len() as u64
    }
}

/// How far a queue was fed from one log.
#[derive(Debug, Clone)]
pub(crate) struct FedTo {
    pub(crate) position: u64,
    /// Of the call that moved it there, and the position before.
    pub(crate) token: String,
    pub(crate) before: Option<u64>,
}
