//! Looks at a breaker, and forces it.

use redis::Cmd;
use serde::Serialize;

use crate::policy::breaker::{BreakerState, Rules};
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("breaker");

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Breaker<'a> {
    #[serde(flatten)]
    pub(crate) rules: Rules,
    pub(crate) force: Force,
    /// Who forces it.
    pub(crate) why: &'a str,
}

/// What is forced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Force {
    /// Nothing changes.
    #[serde(rename = "")]
    Nothing,
    #[serde(rename = "open")]
    Open,
    #[serde(rename = "closed")]
    Closed,
    #[serde(rename = "automatic")]
    Automatic,
}

/// How a breaker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) state: BreakerState,
    /// An operator has said so.
    pub(crate) is_forced: bool,
    pub(crate) since_ms: u64,
    /// 0 if it is not open.
    pub(crate) until_ms: u64,
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    pub(crate) probes: u64,
    pub(crate) opened: u64,
    pub(crate) why: String,
    /// It was not there, or was deleted.
    pub(crate) is_first: bool,
}

impl Verb for Breaker<'_> {
    type Answer = Found;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Found, Trouble> {
        match reply.tag() {
            "breaker" => Ok(Found {
                // What another version wrote is as good as closed.
                state: BreakerState::parse(&reply.text()?).unwrap_or(BreakerState::Closed),
                is_forced: reply.text()? != "-",
                since_ms: reply.number()?,
                until_ms: reply.number()?,
                calls: reply.number()?,
                failures: reply.number()?,
                probes: reply.number()?,
                opened: reply.number()?,
                why: reply.text()?,
                is_first: reply.number()? == 1,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
