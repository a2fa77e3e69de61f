//! How many jobs are in each state.

use redis::Cmd;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{NoArguments, Verb, named};

static SCRIPT: Script = script!("counts");

/// Asks for the numbers and the totals.
pub(crate) struct Counts;

/// Names and numbers as the script gives them.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) now_ms: u64,
    pub(crate) states: Vec<(String, u64)>,
    /// The queue's own numbers and texts: totals, whether it is paused, what is set, what has started.
    pub(crate) meta: Vec<(String, String)>,
}

impl Counted {
    /// How many jobs are in this state.
    pub(crate) fn jobs(&self, state: &str) -> u64 {
        let found = self.states.iter().find(|(name, _)| name == state);
        found.map_or(0, |(_, jobs)| *jobs)
    }

    /// One of the queue's own texts.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.meta.iter().find(|(known, _)| known == name);
        found.map(|(_, text)| text.as_str())
    }

    /// One of its totals.
    pub(crate) fn total(&self, name: &str) -> u64 {
        self.text(name)
            .and_then(|total| total.parse().ok())
            .unwrap_or(0)
    }
}

impl Verb for Counts {
    type Answer = Counted;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, &NoArguments {});
    }

    fn answer(mut reply: Reply) -> Result<Counted, Trouble> {
        match reply.tag() {
            "counts" => Ok(Counted {
                now_ms: reply.now_ms(),
                states: reply.named_numbers()?,
                meta: reply.named_texts()?,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
