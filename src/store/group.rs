//! Looks at one group, and changes what is set for it.

use std::collections::BTreeMap;

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("group" in full);

/// The settings of a group, by the names under which they are stored.
pub(crate) const PAUSED: &str = "paused";
pub(crate) const CONCURRENCY: &str = "concurrency";
pub(crate) const RATE: &str = "rate";

#[derive(Serialize)]
pub(crate) struct Group<'a> {
    /// As in the head of a record.
    pub(crate) group: &'a str,
    /// Texts by name; an empty one takes the setting away. What is not named stays as it is.
    pub(crate) change: BTreeMap<&'static str, String>,
    /// A hold of the group ends.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) resume: bool,
}

/// What is known of a group.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) active: u64,
    /// One of its jobs stands in line for it.
    pub(crate) in_line: bool,
    pub(crate) blocked: u64,
    /// What is set for it, as it is stored.
    pub(crate) set: String,
    /// Until when it is held, ms; 0 if it is not.
    pub(crate) held_until_ms: u64,
}

impl Found {
    /// What is set under this name.
    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        let mut pairs = self.set.split(' ').filter_map(|word| word.split_once('='));
        Some(pairs.find(|(known, _)| *known == name)?.1)
    }
}

impl Verb for Group<'_> {
    type Answer = Found;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Found, Trouble> {
        match reply.tag() {
            "group" => Ok(Found {
                active: reply.number()?,
                in_line: reply.number()? == 1,
                blocked: reply.number()?,
                set: reply.text()?,
                held_until_ms: reply.number()?,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
