//! Tells a breaker how a call ended.

use redis::Cmd;
use serde::Serialize;

use crate::policy::breaker::{BreakerState, Rules};
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::permit::changed;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("call_ended");

#[derive(Debug, Clone, Serialize)]
pub(crate) struct CallEnded<'a> {
    #[serde(flatten)]
    pub(crate) rules: Rules,
    /// So many other calls ended well since the last time.
    pub(crate) succeeded: u64,
    pub(crate) ended: End,
    /// Its number if it was a probe, otherwise 0.
    pub(crate) probe: u64,
    /// The error.
    pub(crate) why: &'a str,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    Well,
    Failed,
    /// Nobody knows.
    Dropped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    /// The failure is not counted, because the breaker was open, or this was a probe: its job may ask again after so many ms.
    pub(crate) wait_ms: Option<u64>,
    /// The state to which this call has changed the breaker.
    pub(crate) changed: Option<BreakerState>,
    /// It was not there, or was deleted.
    pub(crate) is_first: bool,
}

impl Verb for CallEnded<'_> {
    type Answer = Counted;

    /// A failure would count twice.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Counted, Trouble> {
        let wait_ms = reply.number()?;
        let wait_ms = match reply.tag() {
            "counted" => None,
            "open" => Some(wait_ms),
            _ => return reply.unexpected_tag(),
        };
        Ok(Counted {
            wait_ms,
            changed: changed(&reply.text()?),
            is_first: reply.number()? == 1,
        })
    }
}
