//! All that is known of one job.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("get");

/// Asks for one job.
#[derive(Serialize)]
pub(crate) struct Get<'a> {
    pub(crate) id: &'a str,
}

/// One job as Redis holds it.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Found {
    /// As it is shown: a cancelled job is `cancelled`, wherever it lies.
    pub(crate) state: String,
    /// The place among the waiting, or a time in ms; what it means depends on the state.
    pub(crate) score: String,
    pub(crate) record: Vec<u8>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) claim: Option<Vec<u8>>,
    pub(crate) stalls: Option<Vec<u8>>,
    pub(crate) counters: Option<Vec<u8>>,
    pub(crate) history: Vec<Vec<u8>>,
    pub(crate) outcome: Option<Vec<u8>>,
    pub(crate) progress: Option<Vec<u8>>,
    /// How many jobs stand before it in line.
    pub(crate) position: Option<Vec<u8>>,
}

impl Verb for Get<'_> {
    type Answer = Option<Found>;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Option<Found>, Trouble> {
        match reply.tag() {
            "missing" => Ok(None),
            "found" => {
                let state = reply.text()?;
                Ok(Some(Found::read(&state, &mut reply)?))
            }
            _ => reply.unexpected_tag(),
        }
    }
}

impl Found {
    /// The score of a job, and what `lib/describe.lua` says of it.
    pub(crate) fn read(state: &str, reply: &mut Reply) -> Result<Self, Trouble> {
        let mut found = Self {
            state: state.to_owned(),
            score: reply.text()?,
            record: reply.bytes()?,
            ..Self::default()
        };
        for _ in 0..reply.number()? {
            let (name, value) = (reply.text()?, reply.bytes()?);
            match name.as_str() {
                "payload" => found.payload = Some(value),
                "claim" => found.claim = Some(value),
                "stalls" => found.stalls = Some(value),
                "counters" => found.counters = Some(value),
                "attempt" => found.history.push(value),
                "outcome" => found.outcome = Some(value),
                "progress" => found.progress = Some(value),
                "position" => found.position = Some(value),
                // Something that a newer version stores.
                _ => {}
            }
        }
        Ok(found)
    }
}
